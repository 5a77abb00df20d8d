//! Names: from the model's CamelCase to Rust's snake_case.

/// Rust's keywords that a field could meet; a missing one stops the build of the generated code.
const KEYWORDS: [&str; 24] = [
    "as", "async", "await", "box", "break", "const", "continue", "do", "else", "enum", "final", "for", "if", "in",
    "loop", "match", "move", "override", "ref", "return", "static", "type", "use", "where",
];

/// `MapPublicIpOnLaunch` -> `map_public_ip_on_launch`, `DnsAAAARecord` -> `dns_aaaa_record`. Digits stay with
/// the word before them. Words that Rust reserves come back as raw identifiers.
pub fn field(member: &str) -> String {
    let chars: Vec<char> = member.chars().collect();
    let mut out = String::new();
    for (i, &c) in chars.iter().enumerate() {
        let after_word = i > 0 && !chars[i - 1].is_ascii_uppercase() && chars[i - 1] != '_';
        let starts_word = i > 0 && chars.get(i + 1).is_some_and(char::is_ascii_lowercase) && chars[i - 1] != '_';
        if c.is_ascii_uppercase() && (after_word || starts_word) {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    if KEYWORDS.contains(&out.as_str()) { format!("r#{out}") } else { out }
}

/// `DescribeVpcs` -> `DESCRIBE_VPCS`, for constants.
pub fn constant(name: &str) -> String {
    field(name).trim_start_matches("r#").to_ascii_uppercase()
}
