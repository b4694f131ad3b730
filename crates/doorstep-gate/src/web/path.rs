//! Where to go after the login: a path on the same site and nothing else.

/// Longer paths are forgotten.
const LONGEST: usize = 2048;

/// A path on this site, percent-encoded, safe in a header and in a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReturnPath(String);

impl ReturnPath {
    /// The start page.
    pub(super) fn root() -> Self {
        Self("/".to_owned())
    }

    /// Takes a path that a request or a form names; anything that a browser could read as another
    /// site becomes the start page.
    pub(super) fn parse(text: &str) -> Self {
        let plain = text.len() <= LONGEST
            && text.bytes().all(|byte| {
                byte.is_ascii_graphic()
                    && !matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'\'' | b'`')
            });
        // Two slashes begin a host, and browsers drop dots between them; in a query both are text.
        let path = text.split(['?', '#']).next().unwrap_or_default();
        let local = text.starts_with('/')
            && !path.contains("//")
            && !path.split('/').any(|segment| matches!(segment, "." | ".."));
        // The gate's own pages are no place to go back to.
        let ours = text.starts_with("/_doorstep");
        if plain && local && !ours { Self(text.to_owned()) } else { Self::root() }
    }

    /// Takes the path that the query of the login page names. nginx cannot encode it, so that one
    /// which begins with a slash is taken as it stands, with everything after it.
    pub(super) fn of_query(query: &str) -> Self {
        match query.strip_prefix("return=") {
            Some(plain) if plain.starts_with('/') => Self::parse(plain),
            Some(_) => {
                let mut pairs = form_urlencoded::parse(query.as_bytes());
                pairs.next().map_or_else(Self::root, |(_, path)| Self::parse(&path))
            }
            None => Self::root(),
        }
    }

    /// The path.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as a value in a query.
    pub(super) fn encoded(&self) -> String {
        form_urlencoded::byte_serialize(self.0.as_bytes()).collect()
    }

    /// The path in a page's attribute.
    pub(super) fn escaped(&self) -> String {
        self.0.replace('&', "&amp;")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site_are_returned_to() {
        for fine in [
            "/",
            "/wiki/page?x=1&y=%20#top",
            "/a/b.html",
            "/_door",
            "/%2f%2fevil.example",
            "/a:b@c",
            "/.well-known/change-password",
            "/a/.hidden/...",
            "/a?url=https://b.example/../c",
            "/a#//b/./c",
        ] {
            assert_eq!(ReturnPath::parse(fine).as_str(), fine);
        }
        for evil in [
            "",
            "evil",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/.//evil.example",
            "/..//evil.example",
            "/./",
            "/..",
            "/a/../b",
            "/.?a",
            "//evil.example?a",
            "/..//evil.example#a",
            "https://evil.example/",
            "javascript:alert(1)",
            "/\tevil",
            "/\r\nset-cookie: a=b",
            "/\n/evil.example",
            " //evil.example",
            "/a b",
            "/é",
            "/\"><script>",
            "/'onload='",
            "/_doorstep/logout",
            "/x//evil.example",
            &format!("/{}", "a".repeat(LONGEST)),
        ] {
            assert_eq!(ReturnPath::parse(evil), ReturnPath::root(), "{evil:?}");
        }
        for (query, path) in [
            ("return=/a?b=c&d=e", "/a?b=c&d=e"),
            ("return=%2Fa%3Fb%3Dc%26d%3De", "/a?b=c&d=e"),
            ("return=%2F%2Fevil.example", "/"),
            ("return=//evil.example", "/"),
            ("return=https://evil.example", "/"),
            ("return=", "/"),
            ("other=/a&return=/b", "/"),
            ("", "/"),
        ] {
            assert_eq!(ReturnPath::of_query(query).as_str(), path, "{query}");
        }
        assert_eq!(ReturnPath::parse("/a?b=c&d").encoded(), "%2Fa%3Fb%3Dc%26d");
        assert_eq!(ReturnPath::parse("/a?b=c&d").escaped(), "/a?b=c&amp;d");
    }
}
