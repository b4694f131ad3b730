//! The adviser from outside: what it asks, what it answers, and its commands as a shell runs them.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use support::{Shop, code_in, reply};

fn example(name: &str) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/advise");
    examples.join(format!("{name}.toml")).to_str().unwrap().to_owned()
}

fn doorstep(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
    command.args(words).stdin(Stdio::null()).output().unwrap()
}

fn advice(name: &str) -> Value {
    let reply = reply(&doorstep(&["--json", "advise", "--answers", &example(name)]));
    assert_eq!(reply.status, 0, "{}", reply.stderr);
    reply.json
}

/// Runs the commands of an advice in a shop that is open, as a shell would, with what only then is known in
/// their place. The last one's output is given back.
fn run_by_hand(
    shop: &Shop,
    advice: &Value,
    known: &mut dyn FnMut(&str) -> Option<String>,
) -> Output {
    let path: PathBuf = Path::new(env!("CARGO_BIN_EXE_doorstep")).parent().unwrap().to_owned();
    let commands = advice["fits"][0]["commands"].as_array().unwrap();
    let beyond_the_server = commands.iter().skip_while(|line| *line != "doorstep serve &").skip(1);
    let mut last = None;
    for line in beyond_the_server {
        let mut line = line.as_str().unwrap().to_owned();
        for word in ["CODE", "PIN"] {
            if line.contains(word) {
                line = line.replace(word, &format!("\"{}\"", known(word).unwrap()));
            }
        }
        let mut command = Command::new("sh");
        shop.surround(&mut command);
        let search = format!("{}:{}", path.display(), std::env::var("PATH").unwrap());
        let output = command.args(["-c", &line]).env("PATH", search).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        last = Some(output);
    }
    last.unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_commands_for_a_court_open_it() {
    let shop = Shop::open();
    let court = advice("court-without-phones");
    assert_eq!(court["recommended"], "kp1");
    let opened = run_by_hand(&shop, &court, &mut |_| {
        let booking = shop.must(&["booking", "list", "--lock", "Front door"]).json;
        let id = booking["data"][0]["id"].as_str().unwrap().to_owned();
        let shown = shop.must(&["booking", "show", &id]).json;
        Some(shown["holders"][0]["pin"].as_str().unwrap().to_owned())
    });
    assert!(said(&opened).contains("open"), "{}", said(&opened));
    let profile = &shop.must(&["lock", "show", "Front door"]).json;
    let robot = court["fits"][0]["numbers"].as_array().unwrap();
    let robot = robot.iter().find(|number| number["name"] == "guess_year").unwrap();
    assert_eq!(
        profile["odds"]["robot_year"], robot["value"],
        "what was advised is what was set up"
    );
}

#[test]
fn the_commands_for_a_courier_hand_over() {
    let shop = Shop::open();
    let courier = advice("courier");
    assert_eq!(courier["recommended"], "ho1-split");
    let given = run_by_hand(&shop, &courier, &mut |_| {
        let delivery = shop.must(&["delivery", "show", "A-1"]).text("id");
        Some(code_in(&shop.message(&delivery, 1, 0)))
    });
    assert!(said(&given).contains("accepted"), "{}", said(&given));
}

#[test]
fn the_commands_for_a_picture_open_with_it() {
    let shop = Shop::open();
    let scan = ["--entry", "scanned", "--phone", "messages", "--contact", "never"];
    let file = example("cave");
    let words = [&["--json", "advise", "--answers", &file][..], &scan].concat();
    let advice = reply(&doorstep(&words)).json;
    assert_eq!(advice["recommended"], "dp1-signed", "options count before the file");
    let opened = run_by_hand(&shop, &advice, &mut |_| None);
    assert!(said(&opened).contains("open"), "{}", said(&opened));
}

#[test]
fn a_script_is_told_what_is_missing() {
    for (words, missing) in [
        (&["advise"][..], "--verifier"),
        (&["advise", "--verifier", "lock", "--contact", "never"], "--oscillator --phone --entry"),
        (&["advise", "--verifier", "device", "--entry", "typed"], "--contact --trust --check-for"),
    ] {
        let output = doorstep(words);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(missing) && told.contains("hint:"), "{told}");
    }
    for words in [
        &["advise", "--verifier", "castle"][..],
        &["advise", "--active", "0"],
        &["advise", "--answers", "/nowhere.toml"],
        &["advise", "--answers", &example("court"), "--lifetime", "soon"],
        &["advise", "--answers", &example("court"), "--lifetime", "0s"],
        &["advise", "--answers", &example("court"), &example("cave")],
        &["advise", "--answers", env!("CARGO_BIN_EXE_doorstep")],
    ] {
        let output = doorstep(words);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{words:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("error:"), "{words:?}");
    }
}

#[test]
fn what_cannot_be_is_a_refusal_with_a_way_out() {
    let file = example("wishes-that-clash");
    let refused = reply(&doorstep(&["--json", "advise", "--answers", &file]));
    assert_eq!(refused.status, 3);
    assert_eq!(refused.json["recommended"], Value::Null);
    let way = &refused.json["what_has_to_give"][0];
    let mut words = vec!["--json".to_owned(), "advise".to_owned(), "--answers".to_owned(), file];
    for gives in way["gives"].as_array().unwrap() {
        words.push(format!("--{}", gives["option"].as_str().unwrap()));
        words.push(gives["would_be"].as_str().unwrap().to_owned());
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let granted = reply(&doorstep(&words));
    assert_eq!((granted.status, &granted.json["recommended"]), (0, &way["method"]));
    let told = said(&doorstep(&["advise", "--answers", &example("wishes-that-clash")]));
    assert!(told.contains("what has to give") && told.contains("--digits 8"), "{told}");
}

#[test]
fn an_advice_fits_on_two_screens_and_says_itself_again() {
    for name in [
        "court",
        "court-without-phones",
        "courier",
        "courier-managed",
        "locker",
        "internal-page",
        "cave",
    ] {
        let told = said(&doorstep(&["advise", "--answers", &example(name)]));
        assert!(told.lines().count() <= 2 * 35, "{name}: {} lines", told.lines().count());
        let again = told.trim_end().lines().last().unwrap().trim();
        let words: Vec<&str> = again.split(' ').skip(1).collect();
        assert_eq!(said(&doorstep(&words)), told, "{name}");
    }
    let template = said(&doorstep(&["advise", "--template"]));
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("needs.toml");
    std::fs::write(&file, template).unwrap();
    let read = std::fs::File::open(&file).unwrap();
    let output = command.args(["advise", "--answers", "-"]).stdin(read).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// In a real pseudo-terminal, pressing Enter at everything.
#[test]
fn a_terminal_is_asked() {
    let program = env!("CARGO_BIN_EXE_doorstep");
    let mut command = Command::new("script");
    command.args(["-q", "-e", "-c", &format!("{program} advise --phone none"), "/dev/null"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("script is needed: apt-get install bsdutils");
    let mut keys = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut keys, "\n".repeat(14).as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(keys);
    let told = said(&output);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("Who checks the codes?") && told.contains("take: "), "{told}");
    assert!(!told.contains("What do those have who come"), "an option is an answer: {told}");
    assert!(told.contains("--phone none"), "{told}");
}
