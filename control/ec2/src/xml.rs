//! The encoder's run time: from the generated structures to XML elements.
//!
//! All text goes through quick-xml's escaping. Characters that XML 1.0 forbids (section 2.2: most control
//! characters, U+FFFE, U+FFFF) become U+FFFD, and a carriage return becomes a reference, since parsers turn a
//! literal one into a line feed; so any text gives a well-formed document.

use std::borrow::Cow;

use quick_xml::escape::escape;

use crate::timestamp::Timestamp;

/// A document being written.
#[derive(Debug)]
pub(crate) struct Xml {
    out: String,
}

impl Xml {
    /// An empty document: just the declaration.
    pub(crate) fn document() -> Xml {
        Xml { out: r#"<?xml version="1.0" encoding="UTF-8"?>"#.to_owned() }
    }

    /// An element with `attributes` (names and values are the protocol's own, never a caller's text) and what
    /// `content` writes inside it. An element without content is written in its short form.
    pub(crate) fn element(&mut self, name: &str, attributes: &str, content: impl FnOnce(&mut Xml)) {
        self.out.extend(["<", name, attributes, ">"]);
        let start = self.out.len();
        content(self);
        if self.out.len() == start {
            self.out.truncate(start - 1);
            self.out.push_str("/>");
        } else {
            self.out.extend(["</", name, ">"]);
        }
    }

    /// An element with text.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.element(name, "", |x| x.out.push_str(&safe(text)));
    }

    /// What an action without a result of its own answers.
    pub(crate) fn done(&mut self) {
        self.text("return", "true");
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }
}

/// Text that is safe as an element's content.
fn safe(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'<' | b'>' | b'&' | b'\'' | b'"');
    // Nearly all that is ever answered: ids, addresses, names of states.
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let allowed =
        |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    if text.chars().all(|c| allowed(c) && c != '\r') {
        return escape(text);
    }
    let text: String = text.chars().map(|c| if allowed(c) { c } else { char::REPLACEMENT_CHARACTER }).collect();
    Cow::Owned(escape(&text).replace('\r', "&#13;"))
}

/// A generated structure that occurs in responses.
pub(crate) trait Encode {
    fn encode(&self, x: &mut Xml);
}

/// A member of a generated structure.
pub(crate) trait Put {
    /// Writes the member as the element `name`: nothing for an absent value, an empty element for an empty list.
    fn put(&self, x: &mut Xml, name: &str);
}

/// A list that is left out when it is empty.
pub(crate) trait PutSome {
    fn put_some(&self, x: &mut Xml, name: &str);
}

impl<T: Element> Put for Option<T> {
    fn put(&self, x: &mut Xml, name: &str) {
        if let Some(value) = self {
            value.write(x, name);
        }
    }
}

impl<T: Element> Put for Vec<T> {
    fn put(&self, x: &mut Xml, name: &str) {
        x.element(name, "", |x| self.iter().for_each(|entry| entry.write(x, "item")));
    }
}

impl<T: Element> PutSome for Vec<T> {
    fn put_some(&self, x: &mut Xml, name: &str) {
        if !self.is_empty() {
            self.put(x, name);
        }
    }
}

/// A value of one of the model's types.
pub(crate) trait Element {
    fn write(&self, x: &mut Xml, name: &str);
}

impl<T: Encode> Element for T {
    fn write(&self, x: &mut Xml, name: &str) {
        x.element(name, "", |x| self.encode(x));
    }
}

impl Element for String {
    fn write(&self, x: &mut Xml, name: &str) {
        x.text(name, self);
    }
}

impl Element for i64 {
    fn write(&self, x: &mut Xml, name: &str) {
        x.text(name, &self.to_string());
    }
}

impl Element for f64 {
    fn write(&self, x: &mut Xml, name: &str) {
        x.text(name, &self.to_string());
    }
}

impl Element for bool {
    fn write(&self, x: &mut Xml, name: &str) {
        x.text(name, if *self { "true" } else { "false" });
    }
}

impl Element for Timestamp {
    fn write(&self, x: &mut Xml, name: &str) {
        x.text(name, &self.to_string());
    }
}
