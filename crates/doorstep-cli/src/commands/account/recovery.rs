//! `doorstep account recovery`: a sheet of recovery codes to print and to keep.

use super::{Account, find};
use crate::commands::new_file::NewFile;
use crate::error::CliError;
use crate::output::{Answer, GOOD};
use serde_json::{Value, json};
use std::path::Path;
use zeroize::Zeroizing;

pub(super) fn run(of: &Account, html: Option<&Path>) -> Result<Answer, CliError> {
    // Before the old codes are void.
    let file = html.map(NewFile::make).transpose()?;
    let client = of.connection.open()?;
    let account = client.get(&find::path(&client, &of.account, "")?)?;
    let name = account["name"].as_str().unwrap_or_default();
    let path = find::path(&client, account["id"].as_str().unwrap_or_default(), "/recovery-codes")?;
    let made = client.post(&path, &Value::Null)?;
    let codes: Vec<&str> =
        made["codes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let (Some(path), Some(file)) = (html, file) else {
        let sheet = sheet(name, &codes);
        return Ok(Answer::new(made, sheet));
    };
    let page = Zeroizing::new(page(name, &codes));
    file.fill(page.as_bytes())?;
    let told = format!(
        "{GOOD}made{GOOD:#} {} recovery codes in {}; print it, then delete it",
        codes.len(),
        path.display()
    );
    Ok(Answer::new(json!({ "file": path, "codes": codes.len() }), told))
}

fn sheet(name: &str, codes: &[&str]) -> String {
    let mut sheet = format!("Recovery codes of {name}\n\n");
    for (index, code) in codes.iter().enumerate() {
        sheet.push_str(&format!("  {:>2}.  {code}   [ ]\n", index + 1));
    }
    sheet.push_str(
        "\nEach works once, in place of a code of your authenticator. Tick off what you used.\n\
         Keep this sheet where you keep your keys. A new sheet makes this one void.\n",
    );
    sheet
}

fn page(name: &str, codes: &[&str]) -> String {
    let name = escaped(name);
    let mut rows = String::new();
    for code in codes {
        rows.push_str(&format!("<li><code>{}</code> &#9744;</li>\n", escaped(code)));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Recovery codes</title>\n\
         <style>body{{font:12pt sans-serif;margin:2cm}}code{{font:16pt monospace}}li{{margin:.4em}}</style>\n\
         <h1>Recovery codes of {name}</h1>\n<ol>\n{rows}</ol>\n\
         <p>Each works once, in place of a code of your authenticator. Tick off what you used.\n\
         <p>Keep this sheet where you keep your keys. A new sheet makes this one void.\n</html>\n"
    )
}

pub(super) fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_markup() {
        let page = page("<script>\"&", &["7K2M-9QXD-0VTB"]);
        assert!(page.contains("&lt;script&gt;&quot;&amp;") && !page.contains("<script"));
        assert!(page.contains("7K2M-9QXD-0VTB"));
    }
}
