//! The PAM module through libpam itself: pamtester asks for logins, a real service answers or is
//! gone, and the process dies at each of its writes.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use doorstep::otp::text::read_base32;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use support::Shop;
use support::site::{NOON, Site};
use support::wait;

const LOCAL: &str = "verify = \"local\"\n";

/// The module, which `cargo test --workspace` builds beside the command.
fn module() -> PathBuf {
    let module =
        Path::new(env!("CARGO_BIN_EXE_doorstep")).with_file_name("deps/libpam_doorstep.so");
    assert!(module.exists(), "the module is missing: cargo test --package doorstep-pam builds it");
    module
}

/// A service of PAM that asks for a code and nothing else.
struct Service(String);

impl Service {
    fn new(site: &Site, options: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("doorstep-test-{}-{nth}", std::process::id());
        let line = format!(
            "auth required {} file={} clock={} {options}\naccount required pam_permit.so\n",
            module().display(),
            site.path("gate.toml").display(),
            site.path("clock").display(),
        );
        let file = Path::new("/etc/pam.d").join(&name);
        std::fs::write(file, line).expect("these tests write to /etc/pam.d: run them as root");
        Self(name)
    }

    fn begin(&self, user: &str, typed: &str) -> Child {
        self.begin_with(Command::new("pamtester"), user, typed)
    }

    fn begin_with(&self, command: Command, user: &str, typed: &str) -> Child {
        let mut child = self.spawn(command, user);
        drop(child.stdin.take().unwrap().write_all(typed.as_bytes()));
        child
    }

    /// A login at which nothing was typed yet.
    fn wait_for(&self, user: &str) -> Child {
        self.spawn(Command::new("pamtester"), user)
    }

    fn spawn(&self, mut command: Command, user: &str) -> Child {
        command.args([self.0.as_str(), user, "authenticate"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("pamtester is needed: apt-get install pamtester")
    }

    /// Whether the user is let in who types these lines, and what is said.
    fn login(&self, user: &str, typed: &str) -> (bool, String) {
        told(&self.begin(user, typed).wait_with_output().unwrap())
    }

    fn granted(&self, user: &str, typed: &str) -> bool {
        self.login(user, typed).0
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(std::fs::remove_file(Path::new("/etc/pam.d").join(&self.0)));
    }
}

fn told(output: &Output) -> (bool, String) {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn line(code: &str) -> String {
    format!("{code}\n")
}

#[test]
fn a_code_lets_in_once_and_nothing_else_does() {
    let site = Site::new(LOCAL);
    let seed = site.enrolled("ana", NOON);
    site.set_clock(NOON + 60);
    let pam = Service::new(&site, "");
    let code = line(&site.code(&seed, NOON + 60));
    // yubico-pam 2.8: an empty password was accepted.
    for typed in [
        "",
        "\n",
        " \n",
        "\0\n",
        "é\n",
        "12345\n",
        "１２３４５６\n",
        &format!("{}\n", "1".repeat(400)),
    ] {
        assert!(!pam.granted("ana", typed), "{typed:?}");
    }
    assert_eq!(site.must(&["gate", "list"]).json["accounts"][0]["attempts_left"], 10);
    let (granted, said) = pam.login("ana", &line(&site.wrong(&seed, NOON + 60)));
    assert!(
        !granted
            && said.contains("doorstep code: ")
            && said.contains("wrong code.")
            && !said.contains("left"),
        "{said}"
    );
    for user in ["bo", "Ana", "root", "../ana"] {
        assert!(!pam.granted(user, &code), "{user}");
    }
    assert!(pam.granted("ana", &code));
    let (granted, said) = pam.login("ana", &code);
    assert!(!granted && said.contains("already used"), "{said}");
    let recovery =
        site.must(&["gate", "recovery", "ana"]).json["codes"][0].as_str().unwrap().to_owned();
    assert!(pam.granted("ana", &line(&recovery)));
    assert!(!pam.granted("ana", &line(&recovery)));
}

#[test]
fn who_has_no_authenticator_passes_only_by_an_option_that_says_so() {
    let site = Site::new(LOCAL);
    let seed = site.enrolled("ana", NOON);
    site.set_clock(NOON + 60);
    let strict = Service::new(&site, "");
    let optional = Service::new(&site, "optional-for-unenrolled");
    // The module steps aside, and with nothing else in the stack nobody is let in.
    let (granted, said) = optional.login("daemon", "");
    assert!(!granted && !said.contains("doorstep code"), "{said}");
    for service in [&strict, &optional] {
        let file = Path::new("/etc/pam.d").join(&service.0);
        let stack = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{stack}auth required pam_permit.so\n")).unwrap();
    }
    assert!(!strict.granted("daemon", "123456\n") && !strict.granted("daemon", ""));
    assert!(optional.granted("daemon", ""));
    // Other spellings of a name, which some systems take for the same user, and nobody's names.
    for user in ["Ana", "ANA", "Daemon", "ana@example.com", "ana ", "ＡＮＡ", "bo"] {
        let (granted, said) = optional.login(user, "123456\n");
        assert!(!granted && said.contains("wrong code"), "{user}: {said}");
    }
    assert!(!optional.granted("ana", "\n"), "who has one needs it");
    assert!(optional.granted("ana", &line(&site.code(&seed, NOON + 60))));
}

#[test]
fn whatever_is_out_of_order_refuses() {
    let site = Site::new(LOCAL);
    let seed = site.enrolled("ana", NOON);
    site.set_clock(NOON + 60);
    let code = line(&site.code(&seed, NOON + 60));
    let pam = Service::new(&site, "");
    for odd in ["nullok", "optional_for_unenrolled", "file=gate.toml", "debug", "clock=/nowhere"] {
        let (granted, said) = Service::new(&site, odd).login("ana", &code);
        assert!(!granted && said.contains("out of order"), "{odd}: {said}");
    }
    for file in ["gate.toml", "gate.key", "gate.state"] {
        let (path, aside) = (site.path(file), site.path("aside"));
        std::fs::rename(&path, &aside).unwrap();
        assert!(!pam.granted("ana", &code), "{file} is gone");
        // CVE-2024-47191: a link where root reads.
        std::os::unix::fs::symlink(&aside, &path).unwrap();
        assert!(!pam.granted("ana", &code), "{file} is a link");
        std::fs::rename(&aside, &path).unwrap();
        std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
        assert!(!pam.granted("ana", &code), "{file} is another user's");
        std::os::unix::fs::chown(&path, Some(0), None).unwrap();
    }
    let whole = std::fs::read(site.path("gate.state")).unwrap();
    let mut damaged = whole.clone();
    damaged[60] ^= 1;
    std::fs::write(site.path("gate.state"), damaged).unwrap();
    assert!(!pam.granted("ana", &code));
    std::fs::write(site.path("gate.state"), whole).unwrap();
    assert!(pam.granted("ana", &code), "and when all is well again it works");
}

#[test]
fn one_of_many_processes_with_one_code_is_let_in_and_different_users_all_are() {
    let site = Site::new(LOCAL);
    let seeds: Vec<_> = (0..6).map(|user| site.enrolled(&format!("user{user}"), NOON)).collect();
    site.set_clock(NOON + 60);
    let pam = Service::new(&site, "");
    let granted = |jobs: Vec<(String, String)>| {
        // All of them have opened the state file, and ask, before anything is typed.
        let mut children: Vec<_> = jobs.iter().map(|(user, _)| pam.wait_for(user)).collect();
        let asks = |child: &Child| {
            let open = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
            let state = site.path("gate.state");
            open.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
                .any(|file| file == state)
        };
        wait("all processes to ask for a code", || children.iter().all(asks));
        for (child, (_, code)) in children.iter_mut().zip(&jobs) {
            child.stdin.take().unwrap().write_all(line(code).as_bytes()).unwrap();
        }
        children
            .into_iter()
            .filter_map(|child| told(&child.wait_with_output().unwrap()).0.then_some(()))
            .count()
    };
    let code = site.code(&seeds[0], NOON + 60);
    assert_eq!(granted((0..9).map(|_| ("user0".to_owned(), code.clone())).collect()), 1);
    let all = seeds.iter().enumerate().skip(1);
    assert_eq!(
        granted(
            all.map(|(user, seed)| (format!("user{user}"), site.code(seed, NOON + 60))).collect()
        ),
        5
    );
    let recovery =
        site.must(&["gate", "recovery", "user0"]).json["codes"][0].as_str().unwrap().to_owned();
    assert_eq!(granted((0..9).map(|_| ("user0".to_owned(), recovery.clone())).collect()), 1);
}

/// Every call by which the module changes its file or makes the change durable.
const WRITES: [&str; 8] =
    ["write", "fdatasync", "ftruncate", "flock", "lseek", "fsync", "rename", "unlink"];

/// Logs in and dies on entering the nth call of `syscall`; what was said. `None` once the process
/// gets to its end.
fn killed_at(pam: &Service, code: &str, syscall: &str, nth: u32) -> Option<String> {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
    strace.arg(format!("inject={syscall}:signal=KILL:when={nth}")).arg("pamtester");
    let child = pam.begin_with(strace, "ana", &line(code));
    let output = child.wait_with_output().unwrap();
    // strace dies of the signal that killed its child.
    let killed = output.status.code().is_none() || output.status.code() == Some(137);
    killed.then(|| told(&output).1)
}

fn put_back(site: &Site, state: &[u8]) {
    std::fs::remove_file(site.path("gate.state")).unwrap();
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.write(true).create_new(true).open(site.path("gate.state")).unwrap();
    file.write_all(state).unwrap();
}

/// Kills logins at every write; `check` is told what was said by then. Each begins with the state
/// file as it is now. Gives back where they were killed.
fn kill_at_every_write(
    site: &Site,
    pam: &Service,
    code: &str,
    check: impl Fn(&str, &str),
) -> Vec<String> {
    let fresh = std::fs::read(site.path("gate.state")).unwrap();
    let mut kills = Vec::new();
    for syscall in WRITES {
        for nth in 1.. {
            put_back(site, &fresh);
            let Some(said) = killed_at(pam, code, syscall, nth) else { break };
            let point = format!("{syscall} {nth}");
            check(&point, &said);
            kills.push(point);
        }
    }
    kills
}

#[test]
fn killed_at_every_write_no_code_opens_twice_no_guess_is_free_and_nobody_is_locked_out() {
    let site = Site::new(LOCAL);
    let seed = site.enrolled("ana", NOON);
    site.set_clock(NOON + 60);
    let pam = Service::new(&site, "");
    let (code, next) = (site.code(&seed, NOON + 60), site.code(&seed, NOON + 90));
    let guess = site.wrong(&seed, NOON + 60);
    let attempts =
        || site.must(&["gate", "list"]).json["accounts"][0]["attempts_left"].as_u64().unwrap();
    let kills = kill_at_every_write(&site, &pam, &code, |point, said| {
        assert!(attempts() >= 9, "{point}");
        let again = pam.granted("ana", &line(&code));
        assert!(!(again && said.contains("successfully")), "{point}: granted twice");
        assert!(!pam.granted("ana", &line(&code)), "{point}: granted twice");
        assert!(pam.granted("ana", &line(&next)), "{point}: the next code is refused");
    });
    assert!(kills.len() >= 10, "the trace missed writes: {kills:?}");
    // Flushed twice, each time before anything is said: the attempt, and the spending.
    assert!(kills.contains(&"fdatasync 2".to_owned()), "{kills:?}");
    kill_at_every_write(&site, &pam, &guess, |point, said| {
        assert!(attempts() == 9 || !said.contains("wrong code"), "{point}: a free guess");
    });
}

#[test]
fn a_full_disk_lets_nobody_in_and_loses_nothing() {
    let site = Site::new(LOCAL);
    let seed = site.enrolled("ana", NOON);
    site.set_clock(NOON + 60);
    let pam = Service::new(&site, "");
    let code = site.code(&seed, NOON + 60);
    let fresh = std::fs::read(site.path("gate.state")).unwrap();
    let mut refused = 0;
    for (syscall, error) in [("write", "ENOSPC"), ("fdatasync", "EIO"), ("flock", "ENOLCK")] {
        for nth in 1..6 {
            put_back(&site, &fresh);
            let mut strace = Command::new("strace");
            strace.args(["-f", "-qq", "-o", "/dev/null", "-P"]).arg(site.path("gate.state"));
            strace.arg("-e").arg(format!("inject={syscall}:error={error}:when={nth}"));
            strace.arg("pamtester");
            let child = pam.begin_with(strace, "ana", &line(&code));
            let (granted, said) = told(&child.wait_with_output().unwrap());
            let point = format!("{error} at {syscall} {nth}: {said}");
            if granted {
                assert!(!pam.granted("ana", &line(&code)), "{point}");
                break;
            }
            refused += 1;
            assert!(said.contains("out of order"), "{point}");
            assert!(pam.granted("ana", &line(&code)), "{point}: the code was not used");
            assert!(!pam.granted("ana", &line(&code)), "{point}");
        }
    }
    assert!(refused >= 5, "only {refused} faults");
}

#[test]
fn killed_while_the_state_file_is_written_anew_nothing_is_forgotten() {
    let site = Site::new(LOCAL);
    let seed = site.enrolled("ana", NOON);
    let config = doorstep_gate::config::Config::read(&site.path("gate.toml")).unwrap();
    let mut gate = doorstep_gate::gate::Gate::open(&config).unwrap();
    let (ana, noon) =
        (doorstep_gate::name::Name::parse("ana"), doorstep::time::Timestamp::from_seconds(NOON));
    // Recovery codes take no attempts, so that there may be many.
    for _ in 0..1100 {
        assert!(gate.verify(ana.as_ref(), "0000 0000 0000", None, noon).unwrap().is_err());
    }
    drop(gate);
    site.set_clock(NOON + 60);
    let pam = Service::new(&site, "");
    let code = site.code(&seed, NOON + 60);
    let size = || std::fs::metadata(site.path("gate.state")).unwrap().len();
    let before = size();
    let kills = kill_at_every_write(&site, &pam, &code, |point, _| {
        let first = pam.granted("ana", &line(&code));
        assert!(!pam.granted("ana", &line(&code)), "{point}: first {first}, then again");
        assert_eq!(site.must(&["gate", "list"]).json["accounts"][0]["account"], "ana", "{point}");
    });
    // The new file, and the name it takes.
    for point in ["fsync 1", "fsync 2", "rename 1"] {
        assert!(kills.contains(&point.to_owned()), "the trace missed {point}: {kills:?}");
    }
    assert!(size() * 10 < before, "it was written anew: {} of {before} bytes", size());
}

/// Asks the service for something with its API key.
fn ask(shop: &Shop, path: &str, body: &Value) -> Value {
    let key = std::fs::read_to_string(shop.path("api.key")).unwrap();
    let request = ureq::post(format!("{}{path}", shop.url()))
        .header("authorization", format!("Bearer {}", key.trim()))
        .header("content-type", "application/json");
    let text = request.send(body.to_string()).unwrap().body_mut().read_to_string().unwrap();
    serde_json::from_str(&text).unwrap()
}

/// An account at the service with an active authenticator; gives back its seed.
fn at_service(shop: &Shop, site: &Site, name: &str) -> String {
    let account = ask(shop, "/v1/accounts", &json!({ "name": name }));
    let path = format!("/v1/accounts/{}/authenticators", account["id"].as_str().unwrap());
    let enrolled = ask(shop, &path, &json!({ "kind": "totp" }));
    let seed = enrolled["provisioning"]["secret"].as_str().unwrap().replace(' ', "");
    assert!(read_base32(&seed).is_ok());
    let path = format!("/v1/authenticators/{}/activate", enrolled["id"].as_str().unwrap());
    let active = ask(shop, &path, &json!({ "code": site.code(&seed, NOON) }));
    assert_eq!(active["outcome"], "granted", "{active}");
    seed
}

fn with_service(shop: &Shop, verify: &str) -> String {
    format!(
        "verify = \"{verify}\"\n[service]\nurl = \"{}\"\nkey_file = \"{}\"\ntimeout = \"5s\"\n",
        shop.url(),
        shop.path("api.key").display()
    )
}

#[test]
fn the_service_decides_and_only_without_its_verdict_the_authenticator_of_this_host() {
    let mut shop = Shop::open();
    let site = Site::new(&with_service(&shop, "local"));
    let service_seed = at_service(&shop, &site, "ana");
    let host_seed = site.enrolled("ana", NOON);
    let pam = Service::new(&site, "");
    shop.advance("60s");
    site.set_clock(NOON + 60);
    let (service, host) = (site.code(&service_seed, NOON + 60), site.code(&host_seed, NOON + 60));
    let (granted, said) = pam.login("ana", &line(&host));
    assert!(!granted && !said.contains("this host"), "a refusal of the service is final: {said}");
    assert!(pam.granted("ana", &line(&service)));
    let (granted, said) = pam.login("ana", &format!("{service}\n{host}\n"));
    assert!(!granted && said.contains("already used") && !said.contains("this host"), "{said}");

    shop.stop();
    let (granted, said) = pam.login("ana", &line(&service));
    assert!(!granted && said.contains("doorstep code for this host: "), "{said}");
    assert!(!pam.granted("ana", &format!("{service}\n{service}\n")), "never the service's");
    assert!(pam.granted("ana", &format!("anything\n{host}\n")));
    assert!(!pam.granted("ana", &format!("anything\n{host}\n")), "once");
    assert!(!pam.granted("bo", &format!("{host}\n{host}\n")));

    // An answer that is none: somebody else's server at that address.
    let page = support::site::page();
    let elsewhere = with_service(&shop, "local").replace(shop.url(), &format!("http://{page}"));
    std::fs::write(site.path("gate.toml"), elsewhere).unwrap();
    assert!(!pam.granted("ana", &format!("{service}\n{service}\n")));
    let next = site.code(&host_seed, NOON + 90);
    site.set_clock(NOON + 90);
    assert!(pam.granted("ana", &format!("anything\n{next}\n")));
}

#[test]
fn whoever_guesses_elsewhere_does_not_lock_a_host_out_that_the_service_knows() {
    let shop = Shop::open();
    let site = Site::new(&with_service(&shop, "local"));
    let seed = at_service(&shop, &site, "ana");
    let pam = Service::new(&site, "");
    shop.advance("60s");
    site.set_clock(NOON + 60);
    assert!(pam.granted("ana", &line(&site.code(&seed, NOON + 60))));
    shop.advance("60s");
    site.set_clock(NOON + 120);
    let guess = site.wrong(&seed, NOON + 120);
    let body = json!({ "account": "ana", "code": guess });
    for _ in 0..10 {
        assert_eq!(ask(&shop, "/v1/accounts/verify", &body)["reason"], "wrong_code");
    }
    assert_eq!(ask(&shop, "/v1/accounts/verify", &body)["reason"], "throttled");
    assert!(pam.granted("ana", &line(&site.code(&seed, NOON + 120))));
    let state = std::fs::read(site.path("gate.state")).unwrap();
    assert!(!state.windows(6).any(|window| window == b"known_"), "the token is sealed");
}

/// A proxy that says yes to everything; gives back its address.
fn yes() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 8192];
            while let Ok(1..) = std::io::Read::read(&mut stream, &mut request) {
                let body =
                    if request.starts_with(b"CONNECT") { "" } else { "{\"outcome\":\"granted\"}" };
                let length = if body.is_empty() {
                    String::new()
                } else {
                    format!("content-length: {}\r\n", body.len())
                };
                drop(stream.write_all(format!("HTTP/1.1 200 OK\r\n{length}\r\n{body}").as_bytes()));
            }
        }
    });
    address
}

#[test]
fn who_calls_sudo_does_not_choose_who_answers() {
    let mut shop = Shop::open();
    let site = Site::new(&with_service(&shop, "local"));
    at_service(&shop, &site, "ana");
    let (pam, yes) = (Service::new(&site, ""), format!("http://{}", yes()));
    for gone in [false, true] {
        if gone {
            shop.stop();
        }
        let mut command = Command::new("pamtester");
        for name in
            ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"]
        {
            command.env(name, &yes);
        }
        let child = pam.begin_with(command, "ana", "000000\n000000\n");
        let (granted, said) = told(&child.wait_with_output().unwrap());
        assert!(!granted, "{said}");
    }
}

#[test]
fn a_web_gate_asks_the_service_and_lets_nobody_new_in_without_it() {
    use support::site::Browser;
    let mut shop = Shop::open();
    let mut site = Site::new(&with_service(&shop, "service"));
    let seed = at_service(&shop, &site, "ana");
    at_service(&shop, &site, "cleo");
    let gate = site.start();
    shop.advance("60s");
    site.set_clock(NOON + 60);
    let code = site.code(&seed, NOON + 60);
    let mut ana = Browser::new(&gate);
    // Who has no account, has one, has a disabled one, or names one by its id: all look the same.
    let page = ana.get("/_doorstep/login");
    let off = ask(&shop, "/v1/accounts", &json!({ "name": "off" }));
    let off = off["id"].as_str().unwrap().to_owned();
    ask(&shop, &format!("/v1/accounts/{off}/disable"), &json!({}));
    let told = |name: &str, address: &str| {
        let answer = ana.clone().with("x-real-ip", address).submit(&page, name, "000000");
        (answer.status, answer.body)
    };
    for nth in 0..10 {
        let (cleo, address) = (told("cleo", "192.0.2.1"), format!("198.51.100.{nth}"));
        assert!(cleo.0 == 403 && cleo.1.contains("wrong code."), "{cleo:?}");
        for name in ["eve", "off", &off] {
            assert_eq!(told(name, &address), cleo, "{name}, try {nth}");
        }
    }
    let (cleo, eve) = (told("cleo", "192.0.2.2"), told("eve", "192.0.2.2"));
    assert!(cleo.0 == 429 && cleo.1.contains("until "), "{cleo:?}");
    assert_eq!(cleo, eve);
    let pam = Service::new(&site, "");
    let said = |user: &str| pam.login(user, "000000\n").1;
    assert!(said("off").contains("too many attempts"), "{}", said("off"));
    assert_eq!(ana.login("/_doorstep/login", "Ana", &code).status, 303);
    assert_eq!(ana.get("/_doorstep/check").header("remote-user"), Some("ana"));
    assert!(ana.cookies["__Host-doorstep-device"].starts_with("known_"));
    let replay = Browser::new(&gate).login("/_doorstep/login", "ana", &code);
    assert!(replay.status == 403 && replay.body.contains("already used"), "{replay:?}");

    // Whoever uses up the account's attempts does not lock out this browser.
    shop.advance("60s");
    site.set_clock(NOON + 120);
    let guess = site.wrong(&seed, NOON + 120);
    let mut eve = Browser::new(&gate);
    let mut status = 403;
    while status == 403 {
        status = eve.login("/_doorstep/login", "ana", &guess).status;
    }
    assert_eq!(status, 429);
    let code = site.code(&seed, NOON + 120);
    assert_eq!(eve.login("/_doorstep/login", "ana", &code).status, 429);
    assert_eq!(ana.login("/_doorstep/login", "ana", &code).status, 303);

    shop.stop();
    let away = Browser::new(&gate).login("/_doorstep/login", "ana", &code);
    assert!(away.status == 503 && away.body.contains("cannot be checked now"), "{away:?}");
    assert_eq!(ana.get("/_doorstep/check").status, 204, "sessions hold");
    site.must(&["gate", "sign-out", "ana"]);
    assert_eq!(ana.get("/_doorstep/check").status, 401);
}
