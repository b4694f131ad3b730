//! The adviser from outside: what it asks, what it answers, and its commands as a shell runs them.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use support::reply;

fn example(name: &str) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/advise");
    examples.join(format!("{name}.toml")).to_str().unwrap().to_owned()
}

fn doorstep(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
    command.args(words).stdin(Stdio::null()).output().unwrap()
}

fn advice(name: &str, over: &[&str]) -> Value {
    let file = example(name);
    let reply = reply(&doorstep(&[&["--json", "advise", "--answers", &file], over].concat()));
    assert_eq!(reply.status, 0, "{}", reply.stderr);
    reply.json
}

/// What a shell needs for what people see with their eyes: `look FILE EDIT` waits until sed finds something, which
/// it prints.
const LOOK: &str = r#"
set -e -m
trap 'for job in $(jobs -p); do kill $job; done' EXIT
exec > said.txt 2>&1
look() {
    for i in $(seq 400); do
        found=$(sed -nE "$2" "$1" | tail -n 1) || true
        if [ -n "$found" ]; then echo "$found"; return; fi
        sleep 0.05
    done
    exit 7
}
"#;

/// The directory in which a block of commands was run, and what was said there.
struct Pasted {
    dir: tempfile::TempDir,
    said: String,
}

impl Pasted {
    fn json(&self, file: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.dir.path().join(file)).unwrap()).unwrap()
    }
}

/// Runs all commands of an advice in an empty directory, as one block in one shell, with what only then is known
/// in its place; `before` the last one of them, and `after` it, other lines.
fn paste(advice: &Value, before: &str, after: &str) -> Pasted {
    let mut block: Vec<String> = advice["fits"][0]["commands"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap().to_owned())
        .collect();
    let delivery = block.iter().any(|line| line.contains("delivery add"));
    let code = if delivery {
        "doorstep-data/messages.jsonl 's/.*code is ([0-9A-Z ]+)\\..*/\\1/p'"
    } else {
        "said.txt 's/^([0-9 ]*[0-9])  until.*/\\1/p'"
    };
    for line in &mut block {
        assert!(!line.ends_with('&'), "the next line would be faster: {line}");
        for (word, sight) in [
            ("PIN", "said.txt 's/^PIN +([0-9 ]*[0-9]).*/\\1/p'"),
            ("CODE", code),
            ("TICKET", "said.txt 's/.*(pas_test_[0-9a-z]+).*/\\1/p'"),
        ] {
            *line = line.replace(&format!(" {word}"), &format!(" \"$(look {sight})\""));
        }
        // A person waits a second; a script looks.
        let listening = if line.contains("serve") { "listening on" } else { "listening at" };
        let up = format!("& look said.txt 's/.*{listening}.*/up/p'");
        *line = line.replace("& sleep 1", &up);
    }
    let last = block.pop().unwrap();
    let waits = if delivery { format!("look {code}") } else { String::new() };
    let script = [LOOK, &block.join("\n"), &waits, before, &last, after, "exit 0"].join("\n");

    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("passphrase"), "correct horse battery\n").unwrap();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let path: PathBuf = Path::new(env!("CARGO_BIN_EXE_doorstep")).parent().unwrap().to_owned();
    let search = format!("{}:{}", path.display(), std::env::var("PATH").unwrap());
    let status = Command::new("bash")
        .args(["-c", &script])
        .current_dir(dir.path())
        .env("PATH", search)
        .env("TZ", "UTC")
        .env("DOORSTEP_SERVER_LISTEN", address.to_string())
        .env("DOORSTEP_SERVER", format!("http://{address}"))
        .env("DOORSTEP_PASSPHRASE_FILE", "passphrase")
        .env("DOORSTEP_WALLET", "wallet")
        .stdin(Stdio::null())
        .status()
        .unwrap();
    let said = std::fs::read_to_string(dir.path().join("said.txt")).unwrap();
    assert!(status.success(), "{script}\n{said}");
    Pasted { dir, said }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_block_for_a_keypad_opens_what_was_advised() {
    // Four hours that begin at any minute are more than the windows of courts hold.
    let long = ["--lifetime", "4h"];
    for (name, over) in
        [("court-without-phones", &[][..]), ("court-without-phones", &long), ("locker", &[])]
    {
        let advice = advice(name, over);
        assert_eq!(advice["recommended"], "kp1");
        let pasted = paste(&advice, "", "doorstep --json lock show 'Front door' > lock.json");
        assert!(pasted.said.contains("opened"), "{name}: {}", pasted.said);
        let robot = advice["fits"][0]["numbers"].as_array().unwrap();
        let robot = robot.iter().find(|number| number["name"] == "guess_year").unwrap();
        assert_eq!(
            pasted.json("lock.json")["odds"]["robot_year"],
            robot["value"],
            "{name}: what was advised is what was set up"
        );
    }
}

#[test]
fn the_block_for_a_delivery_hands_over_as_late_as_was_advised() {
    let near = ["--contact", "always", "--trust", "own", "--entry", "typed", "--lifetime", "6h"];
    for (name, over, method, late, granted) in [
        ("courier", &[][..], "ho1-split", "3h59m", "accepted"),
        ("courier-managed", &[], "ho1-full", "3h59m", "accepted"),
        ("courier", &near, "online-code", "5h59m", "accepted"),
    ] {
        let advice = advice(name, over);
        assert_eq!(advice["recommended"], method);
        let pasted = paste(&advice, &format!("doorstep clock advance {late}"), "");
        assert!(pasted.said.contains(granted), "{method}: {}", pasted.said);
    }
}

#[test]
fn the_block_for_a_pass_opens_with_it() {
    let scan = ["--entry", "scanned", "--phone", "messages", "--contact", "never"];
    for (name, over) in [("cave", &scan[..]), ("court", &[])] {
        let advice = advice(name, over);
        assert_eq!(advice["recommended"], "dp1-signed", "options count before the file");
        let pasted = paste(&advice, "", "");
        assert!(pasted.said.contains("opened"), "{name}: {}", pasted.said);
    }
}

#[test]
fn the_block_for_a_totp_door_opens_a_lock_with_the_oscillator_that_was_named() {
    let over = ["--contact", "phones", "--revocation", "at-once", "--entry", "typed"];
    let advice = advice("cave", &over);
    assert_eq!(advice["recommended"], "totp-door");
    let pasted = paste(&advice, "", "doorstep --json lock show 'Front door' > lock.json");
    assert!(pasted.said.contains("opened"), "{}", pasted.said);
    assert!(pasted.json("lock.json").to_string().contains("compensated"));
}

#[test]
fn the_block_for_a_list_of_codes_prints_them_and_keeps_their_secret() {
    let advice = advice("keypad-without-clock", &[]);
    assert_eq!(advice["recommended"], "hotp");
    let pasted = paste(&advice, "", "");
    let is_code = |line: &&str| line.len() == 6 && line.bytes().all(|byte| byte.is_ascii_digit());
    assert_eq!(pasted.said.lines().filter(is_code).count(), 10, "{}", pasted.said);
    let secret = std::fs::metadata(pasted.dir.path().join("lock.secret")).unwrap();
    assert_eq!(secret.permissions().mode() & 0o777, 0o600);
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
    let command = way["command"].as_str().unwrap();
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    assert_eq!(doorstep(&words).status.code(), Some(0), "the command of a way out is one");
    assert_eq!(way["numbers"], granted.json["fits"][0]["numbers"], "and worth what it says");
    let guess = way["numbers"][0]["text"].as_str().unwrap();
    assert!(told.contains(command) && told.contains(guess), "{told}");
    assert!(!told.contains("the same without questions"), "nobody wants that again: {told}");
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
