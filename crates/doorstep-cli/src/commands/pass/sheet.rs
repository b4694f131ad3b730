//! A pass on a sheet of paper: one HTML page without anything from elsewhere.

use crate::error::CliError;
use crate::text::{span_face, time_of};
use doorstep_qr::Qr;
use jiff::tz::TimeZone;
use serde_json::Value;
use zeroize::Zeroizing;

/// The page for one pass.
pub(super) fn html(
    pass: &Value,
    name: &str,
    qr: &Qr,
    zone: &TimeZone,
) -> Result<Zeroizing<String>, CliError> {
    let when = span_face(time_of(&pass["from"])?, time_of(&pass["until"])?, zone);
    let (name, when) = (plain(name), plain(&when));
    let id = plain(pass["id"].as_str().unwrap_or_default());
    let (mark, told) = if pass["bearer"] == true {
        (
            "bearer pass",
            "Keep this sheet to yourself: whoever has it, or a picture of it, opens the door.",
        )
    } else {
        ("pass", "It opens together with the phone that it was made for.")
    };
    let svg = qr.svg();
    let svg = svg.find("<svg").and_then(|at| svg.get(at..)).unwrap_or_default();
    let mut page = Zeroizing::new(String::with_capacity(svg.len() + 2048));
    page.push_str(&format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{name}: {mark}</title>\n\
         <style>\n@page {{ margin: 20mm }}\nbody {{ font: 14pt sans-serif; text-align: center }}\n\
         svg {{ width: 90mm; height: 90mm }}\n.mark {{ border: 1pt solid; padding: 2mm; font-weight: bold }}\n\
         .small {{ font-size: 9pt }}\n</style>\n<h1>{name}</h1>\n<p>{when}</p>\n"
    ));
    page.push_str(svg);
    page.push_str(&format!(
        "\n<p>Hold this code to the reader of the lock.</p>\n<p class=\"mark\">{told}</p>\n\
         <p class=\"small\">{mark} {id}</p>\n</html>\n"
    ));
    Ok(page)
}

/// Text as it stands in HTML.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => plain.push_str("&amp;"),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '"' => plain.push_str("&quot;"),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn page(name: &str, bearer: bool) -> String {
        let pass = json!({
            "id": "9f1c7a0b33d2e845", "bearer": bearer,
            "from": "2027-01-15T14:00:00Z", "until": "2027-01-15T15:00:00Z",
        });
        let qr = Qr::of_text("DP1:ABC").unwrap();
        html(&pass, name, &qr, &TimeZone::UTC).unwrap().to_string()
    }

    #[test]
    fn a_sheet_says_where_when_and_that_it_is_worth_a_key() {
        let page = page("Court 3", true);
        for part in
            ["<h1>Court 3</h1>", "14:00", "15:00", "bearer pass", "9f1c7a0b33d2e845", "<svg"]
        {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(page.contains("a picture of it"));
        for part in ["src=", "href=", "url("] {
            assert!(!page.contains(part), "nothing comes from elsewhere: {page}");
        }
    }

    #[test]
    fn a_name_is_no_markup() {
        let page = page("<script>alert(\"1\")</script> & co", false);
        assert!(page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; co"));
        assert!(!page.contains("<script") && !page.contains("bearer"));
    }
}
