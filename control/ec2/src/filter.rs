//! Wildcard patterns of filter values: `*` is any text, `?` any one character, `\` takes the next literally.
//!
//! Matching never backtracks further than the last `*`, so it takes at most pattern length times text length
//! steps: no pattern makes it explode. Source: EC2 User Guide, "Filter your resources", "Wildcards".

/// A parsed filter value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Literal(char),
    AnyOne,
    AnyText,
}

impl Pattern {
    /// Parses a filter value. Every text is a pattern; a `\` at its end stands for itself.
    pub fn new(value: &str) -> Pattern {
        let mut parts = Vec::with_capacity(value.len());
        let mut chars = value.chars();
        while let Some(c) = chars.next() {
            let part = match c {
                '*' => Part::AnyText,
                '?' => Part::AnyOne,
                '\\' => Part::Literal(chars.next().unwrap_or('\\')),
                _ => Part::Literal(c),
            };
            if part != Part::AnyText || parts.last() != Some(&Part::AnyText) {
                parts.push(part);
            }
        }
        Pattern { parts }
    }

    /// Whether the whole of `text` fits the pattern. Case matters.
    pub fn matches(&self, text: &str) -> bool {
        let (mut part, mut rest) = (0, text.chars());
        // Where to go on if the literal run after the last `*` does not fit: that `*` takes one character more.
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let mut ahead = rest.clone();
            let fits = match (self.parts.get(part), ahead.next()) {
                (None, None) => return true,
                (Some(Part::AnyText), _) => {
                    part += 1;
                    retry = Some((part, rest.clone()));
                    continue;
                }
                (Some(Part::AnyOne), Some(_)) => true,
                (Some(Part::Literal(want)), Some(got)) => *want == got,
                _ => false,
            };
            if fits {
                (part, rest) = (part + 1, ahead);
                continue;
            }
            let Some((after, from)) = &mut retry else { return false };
            if from.next().is_none() {
                return false;
            }
            (part, rest) = (*after, from.clone());
        }
    }

    /// The only text that the pattern fits, if it has no wildcard.
    pub fn literal(&self) -> Option<String> {
        let literal = |part: &Part| if let Part::Literal(c) = part { Some(*c) } else { None };
        self.parts.iter().map(literal).collect()
    }
}

/// Whether `text` fits the filter value `pattern`. For many texts, parse the [`Pattern`] once.
pub fn matches(pattern: &str, text: &str) -> bool {
    Pattern::new(pattern).matches(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wildcards_match_as_documented() {
        for (pattern, text, want) in [
            ("", "", true),
            ("", "a", false),
            ("vpc-1", "vpc-1", true),
            ("vpc-1", "VPC-1", false),
            ("*", "", true),
            ("*", "anything", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("?", "é", true),
            ("*ab*ab", "abxab", true),
            ("*ab*ab", "ab", false),
            ("a**b", "ab", true),
            (r"\*amazon\?\\", r"*amazon?\", true),
            (r"\*amazon\?\\", r"xamazon?\", false),
            (r"end\", r"end\", true),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern:?} on {text:?}");
        }
    }

    #[test]
    fn a_pattern_made_to_explode_does_not() {
        let (pattern, text) = ("a*".repeat(500) + "b", "a".repeat(20_000));
        assert!(!matches(&pattern, &text));
    }

    #[test]
    fn a_literal_is_known_as_one() {
        assert_eq!(Pattern::new(r"a\*b").literal().as_deref(), Some("a*b"));
        assert_eq!(Pattern::new("a*b").literal(), None);
    }

    /// The obvious definition, exponential.
    fn naive(pattern: &[Part], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((Part::AnyText, after)), rest) => {
                naive(after, text) || rest.is_some_and(|(_, rest)| naive(pattern, rest))
            }
            (Some((Part::AnyOne, after)), Some((_, rest))) => naive(after, rest),
            (Some((Part::Literal(want), after)), Some((got, rest))) => want == got && naive(after, rest),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_its_definition(pattern in r"[ab*?\\]{0,8}", text in r"[ab*\\]{0,10}") {
            let parsed = Pattern::new(&pattern);
            let chars: Vec<char> = text.chars().collect();
            prop_assert_eq!(parsed.matches(&text), naive(&parsed.parts, &chars));
        }
    }
}
