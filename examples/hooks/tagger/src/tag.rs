//! The comment, and where it goes. No component here.

/// A comment, and whether every statement gets it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    comment: String,
    each: bool,
}

impl Tag {
    /// Reads `key=value,key=value`, and perhaps `each`.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut each = false;
        let mut pairs = Vec::new();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word.split_once('=') {
                Some((key, value)) if !key.is_empty() => {
                    pairs.push(format!("{}='{}'", encoded(key), encoded(value)));
                }
                None if word == "each" => each = true,
                _ => return Err(format!("{word:?} is neither key=value nor each")),
            }
        }
        if pairs.is_empty() {
            return Err("it needs pairs such as application=loader".to_owned());
        }
        pairs.sort();
        Ok(Self { comment: format!(" /*{}*/", pairs.join(",")), each })
    }

    /// The body with the comment behind its first statement, or behind each. `ends` says where the
    /// statements end, and `terminators` from which statement on how many bytes of them are the
    /// terminator, without the newline that parts them from the next.
    pub(crate) fn put(&self, body: &[u8], (ends, terminators): (&[u32], &[(u32, u32)])) -> Vec<u8> {
        let count = if self.each { ends.len() } else { 1 };
        let mut tagged = Vec::with_capacity(body.len() + count * self.comment.len());
        let (mut copied, mut terminator) = (0, 0);
        let mut terminators = terminators.iter().peekable();
        for (index, &end) in ends.iter().enumerate().take(count) {
            if let Some((_, bytes)) = terminators.next_if(|(first, _)| *first as usize == index) {
                terminator = *bytes as usize;
            }
            let newline = usize::from(index + 1 < ends.len());
            let statement_end = (end as usize).saturating_sub(terminator + newline);
            tagged.extend_from_slice(body.get(copied..statement_end).unwrap_or_default());
            tagged.extend_from_slice(self.comment.as_bytes());
            copied = statement_end.max(copied);
        }
        tagged.extend_from_slice(body.get(copied..).unwrap_or_default());
        tagged
    }
}

/// URL encoding: of what is left nothing can end a comment or a string.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(config: &str, body: &str, places: (&[u32], &[(u32, u32)])) -> String {
        let tag = Tag::read(config).expect("the configuration is right");
        String::from_utf8(tag.put(body.as_bytes(), places)).expect("text stays text")
    }

    #[test]
    fn the_comment_stands_between_a_statement_and_its_terminator() {
        let (body, places) = ("INSERT 1;\nINSERT 2;", ([10, 19].as_slice(), [(0, 1)].as_slice()));
        assert_eq!(tagged("a=b", body, places), "INSERT 1 /*a='b'*/;\nINSERT 2;");
        assert_eq!(tagged("a=b,each", body, places), "INSERT 1 /*a='b'*/;\nINSERT 2 /*a='b'*/;");
        assert_eq!(tagged("a=b", "INSERT 1", (&[8], &[(0, 0)])), "INSERT 1 /*a='b'*/");
    }

    #[test]
    fn keys_are_sorted_and_nothing_in_a_value_can_end_the_comment() {
        let tag = Tag::read("route=/a b, action='*/; DROP TABLE t --").expect("it is right");
        assert_eq!(
            tag.comment,
            " /*action='%27%2A%2F%3B%20DROP%20TABLE%20t%20--',route='%2Fa%20b'*/"
        );
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for config in ["", "each", "loader", "=loader"] {
            assert!(Tag::read(config).is_err(), "{config}");
        }
    }
}
