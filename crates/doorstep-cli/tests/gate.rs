//! The web gate behind real nginx and by the protocols of Caddy and Traefik: who is let in, who is
//! not, and what a request cannot talk it into.

mod support;

use std::sync::Barrier;
use support::site::{Answer, Browser, NOON, Site, page, send};

const LOCAL: &str = "verify = \"local\"\n";
const SESSION: &str = "__Host-doorstep";

fn passes(answer: &Answer, user: &str) -> bool {
    answer.status == 200 && answer.body.contains(&format!("the page; Remote-User: {user}"))
}

#[test]
fn behind_nginx_a_code_opens_the_page_once_and_the_session_outlives_the_gate() {
    let mut site = Site::new(LOCAL);
    let seed = site.enrolled("ana", NOON);
    site.set_clock(NOON + 60);
    let (gate, page) = (site.start(), page());
    let nginx = site.nginx(&gate, &page);
    let mut ana = Browser::new(&nginx).with("remote-user", "root");
    let away = ana.get("/wiki/Start?a=1&b=2");
    assert_eq!(
        (away.status, away.header("location")),
        (302, Some("/_doorstep/login?return=/wiki/Start?a=1&b=2"))
    );

    let wrong = ana.login(away.header("location").unwrap(), "ana", &site.wrong(&seed, NOON + 60));
    assert_eq!(wrong.status, 403);
    assert!(wrong.body.contains("Not let in: wrong code."), "{}", wrong.body);
    assert!(wrong.body.contains("2026-03-02 12:01:00 UTC"), "a wrong clock is noticed");
    let code = site.code(&seed, NOON + 60);
    let right = ana.submit(&wrong, "Ana", &format!("{} {}", &code[..3], &code[3..]));
    assert_eq!((right.status, right.header("location")), (303, Some("/wiki/Start?a=1&b=2")));
    let shown = ana.get("/wiki/Start");
    assert!(passes(&shown, "ana") && !shown.body.contains("root"), "{shown:?}");
    assert!(right.headers.iter().any(|(name, value)| name == "set-cookie"
        && value.starts_with("__Host-doorstep=")
        && value.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure")));

    // CVE-2025-43798 and others: the same code for a second session.
    let mut thief = Browser::new(&nginx);
    let replay = thief.login("/_doorstep/login", "ana", &code);
    assert!(replay.status == 403 && replay.body.contains("already used"), "{replay:?}");
    assert_eq!(thief.get("/").status, 302);

    assert_eq!(ana.get("/_doorstep/check").status, 404, "internal");
    site.stop();
    let gate = site.start();
    let nginx = site.nginx(&gate, &page);
    (ana.address, thief.address) = (nginx.clone(), nginx);
    assert!(passes(&ana.get("/"), "ana"));
    assert_eq!(
        thief.login("/_doorstep/login", "ana", &code).status,
        403,
        "still used after a restart"
    );

    let mut copy = ana.clone();
    let form = ana.get("/_doorstep/login");
    assert!(form.body.contains("signed in as ana"));
    let (_, token) = form.body.split_once("name=\"form\" value=\"").unwrap();
    let token = token.split_once('"').unwrap().0;
    assert_eq!(thief.ask("POST", "/_doorstep/logout", &format!("form={token}")).status, 400);
    assert_eq!(ana.ask("POST", "/_doorstep/logout", &format!("form={token}")).status, 303);
    assert!(!ana.cookies.contains_key(SESSION));
    assert_eq!(copy.get("/").status, 302, "a copy of the cookie ends with it");
}

#[test]
fn nobody_passes_nginx_while_the_gate_is_away_or_its_state_is_gone() {
    let mut site = Site::new(LOCAL);
    let seed = site.enrolled("ana", NOON);
    site.set_clock(NOON + 60);
    let (gate, page) = (site.start(), page());
    let nginx = site.nginx(&gate, &page);
    let mut ana = Browser::new(&nginx);
    ana.login("/_doorstep/login", "ana", &site.code(&seed, NOON + 60));
    assert!(passes(&ana.get("/"), "ana"));
    std::fs::rename(site.path("gate.state"), site.path("aside")).unwrap();
    assert_eq!(ana.get("/").status, 500);
    assert_eq!(ana.get("/_doorstep/login").status, 503);
    std::fs::rename(site.path("aside"), site.path("gate.state")).unwrap();
    assert!(passes(&ana.get("/"), "ana"), "without a restart");
    site.must(&["gate", "sign-out", "ana"]);
    assert_eq!(ana.get("/").status, 302);
    let nowhere = site.nginx("127.0.0.1:1", &page);
    ana.address = nowhere;
    assert_eq!(ana.get("/").status, 500);
}

#[test]
fn caddy_and_traefik_are_sent_to_the_login_and_never_to_another_site() {
    let mut site = Site::new(LOCAL);
    let seed = site.enrolled("ana", NOON);
    site.set_clock(NOON + 60);
    let gate = site.start();
    let forward = |path: &str| {
        let mut proxy =
            Browser::new(&gate).with("x-forwarded-method", "GET").with("x-forwarded-uri", path);
        proxy = proxy.with("x-forwarded-host", "evil.example").with("x-forwarded-proto", "https");
        let answer = proxy.get("/_doorstep/forward");
        assert_eq!(answer.status, 302, "{answer:?}");
        answer.header("location").unwrap().to_owned()
    };
    assert_eq!(forward("/a?b=c&d"), "/_doorstep/login?return=%2Fa%3Fb%3Dc%26d");
    for evil in [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/..//evil.example",
        "",
        "/_doorstep/logout",
    ] {
        assert_eq!(forward(evil), "/_doorstep/login?return=%2F", "{evil}");
    }
    let mut post =
        Browser::new(&gate).with("x-forwarded-method", "POST").with("x-forwarded-uri", "/a");
    assert_eq!(post.get("/_doorstep/forward").status, 401);

    let mut ana = Browser::new(&gate);
    let answer =
        ana.login("/_doorstep/login?return=//evil.example", "ana", &site.code(&seed, NOON + 60));
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    for path in ["/_doorstep/forward", "/_doorstep/check"] {
        let answer = ana.get(path);
        assert_eq!((answer.status, answer.header("remote-user")), (204, Some("ana")), "{path}");
    }
    let mut forged = Browser::new(&gate)
        .with("cookie", &format!("{SESSION}={}; {SESSION}=0", ana.cookies[SESSION]));
    assert_eq!(
        forged.get("/_doorstep/check").status,
        401,
        "one of two cookies was set by somebody else"
    );
}

#[test]
fn a_way_to_the_login_may_be_absolute_and_its_host_is_never_the_requests() {
    let mut site = Site::new("verify = \"local\"\n[proxy]\norigin = \"https://wiki.example\"\n");
    let gate = site.start();
    let answer =
        Browser::new(&gate).with("x-forwarded-host", "evil.example").get("/_doorstep/forward");
    assert_eq!(answer.header("location"), Some("https://wiki.example/_doorstep/login?return=%2F"));
}

#[test]
fn forms_of_other_sites_and_odd_requests_change_nothing() {
    let mut site = Site::new(LOCAL);
    let seed = site.enrolled("ana", NOON);
    site.set_clock(NOON + 60);
    let gate = site.start();
    let code = site.code(&seed, NOON + 60);
    let mut ana = Browser::new(&gate);
    let page = ana.get("/_doorstep/login");
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(page.body.contains("autocomplete=\"one-time-code\"") && !page.body.contains("<script"));

    let crossed = ana.clone().with("sec-fetch-site", "cross-site").submit(&page, "ana", &code);
    assert_eq!(crossed.status, 400);
    assert_eq!(Browser::new(&gate).submit(&page, "ana", &code).status, 400, "no cookie");
    let mut other = Browser::new(&gate);
    other.get("/_doorstep/login");
    assert_eq!(other.submit(&page, "ana", &code).status, 400, "another browser's form");
    for body in [
        "",
        "name=ana&code=1",
        "form=&name=ana",
        "form=7ZZZZZZZZZZZZZZZZZZZZZZZZZ&name=ana&code=1",
        "%",
        "\0",
    ] {
        assert_eq!(ana.ask("POST", "/_doorstep/login", body).status, 400, "{body:?}");
    }
    for (name, typed) in [
        ("<script>alert(1)</script>", code.as_str()),
        ("ana\r\nset-cookie: a=b", &code),
        ("ana", ""),
        ("ana", "<script>"),
        ("", ""),
        ("ana", "１２３４５６"),
    ] {
        let answer = ana.submit(&page, name, typed);
        assert_eq!(answer.status, 403, "{name:?} {typed:?}");
        assert!(!answer.body.contains("<script") && answer.header("set-cookie").is_none());
    }
    let long = format!("form=x&name=ana&code={}", "1".repeat(10_000));
    assert_eq!(ana.ask("POST", "/_doorstep/login", &long).status, 413);
    for (request, status) in [
        ("GET /_doorstep/nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 404),
        ("DELETE /_doorstep/login HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 405),
        ("GET /_doorstep/check HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n", 401),
        ("nonsense\r\n\r\n", 400),
    ] {
        assert_eq!(send(&gate, request.as_bytes()).status, status, "{request}");
    }
    // Connections that never end their request keep nobody else waiting.
    let slow: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(&gate).unwrap();
            std::io::Write::write_all(
                &mut stream,
                b"POST /_doorstep/login HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nx",
            )
            .unwrap();
            stream
        })
        .collect();
    assert_eq!(
        ana.submit(&page, "ana", &code).status,
        303,
        "after all this the code is still good"
    );
    drop(slow);
}

#[test]
fn guessing_is_bounded_per_account_and_per_address_and_a_known_browser_is_not_locked_out() {
    let mut site = Site::new("verify = \"local\"\n[limits]\nburst = 14\nrefill = \"1m\"\n");
    let seed = site.enrolled("ana", NOON);
    site.set_clock(NOON + 60);
    let gate = site.start();
    let from = |address: &str| Browser::new(&gate).with("x-real-ip", address);
    let mut ana = from("192.0.2.1");
    assert_eq!(ana.login("/_doorstep/login", "ana", &site.code(&seed, NOON + 60)).status, 303);
    let guess = site.wrong(&seed, NOON + 120);
    site.set_clock(NOON + 120);
    let mut eve = from("198.51.100.1");
    for _ in 0..10 {
        assert_eq!(eve.login("/_doorstep/login", "ana", &guess).status, 403);
    }
    // Names that nobody has run out as well, so that they cannot be told apart; then the address.
    let spent = eve.login("/_doorstep/login", "ANA", &guess);
    assert!(spent.status == 429 && spent.header("retry-after").is_some(), "{spent:?}");
    for nth in 0..3 {
        assert_eq!(
            eve.login("/_doorstep/login", &format!("eve{nth}"), &guess).status,
            403,
            "{nth}"
        );
    }
    assert_eq!(eve.login("/_doorstep/login", "eve3", &guess).status, 429);
    assert_eq!(from("198.51.100.2").login("/_doorstep/login", "eve3", &guess).status, 403);
    let code = site.code(&seed, NOON + 120);
    assert_eq!(from("192.0.2.9").login("/_doorstep/login", "ana", &code).status, 429, "locked out");
    ana.cookies.remove(SESSION);
    assert_eq!(
        ana.login("/_doorstep/login", "ana", &code).status,
        303,
        "but not from this browser"
    );
    let codes = site.must(&["gate", "recovery", "ana"]).json["codes"].clone();
    let recovery = codes[0].as_str().unwrap();
    let mut phone = from("192.0.2.10");
    assert_eq!(phone.login("/_doorstep/login", "ana", recovery).status, 303);
    assert_eq!(from("192.0.2.11").login("/_doorstep/login", "ana", recovery).status, 403, "once");
    site.must(&["gate", "unlock", "ana"]);
    assert_eq!(from("192.0.2.12").login("/_doorstep/login", "ana", &guess).status, 403);
}

#[test]
fn a_name_that_nobody_has_gets_the_very_page_of_one_that_somebody_has() {
    let mut site = Site::new(LOCAL);
    let seed = site.enrolled("ana", NOON);
    site.set_clock(NOON + 60);
    let gate = site.start();
    let guess = site.wrong(&seed, NOON + 60);
    let mut browser = Browser::new(&gate);
    let page = browser.get("/_doorstep/login");
    for nth in 0..12 {
        let [ana, eve] = ["ana", "eve"].map(|name| {
            let from = format!("198.51.100.{nth}");
            let answer = browser.clone().with("x-real-ip", &from).submit(&page, name, &guess);
            let wait = answer.header("retry-after").map(str::to_owned);
            (answer.status, wait, answer.body)
        });
        assert_eq!(ana, eve, "try {nth}");
        assert_eq!(ana.0, if nth < 10 { 403 } else { 429 }, "try {nth}");
    }
}

#[test]
fn refused_codes_do_not_make_the_state_file_grow_for_ever() {
    let mut site = Site::new("verify = \"local\"\n[limits]\nburst = 255\n");
    site.enrolled("ana", NOON);
    let config = doorstep_gate::config::Config::read(&site.path("gate.toml")).unwrap();
    let mut gate = doorstep_gate::gate::Gate::open(&config).unwrap();
    let (ana, noon) =
        (doorstep_gate::name::Name::parse("ana"), doorstep::time::Timestamp::from_seconds(NOON));
    for _ in 0..1100 {
        assert!(gate.verify(ana.as_ref(), "0000 0000 0000", None, noon).unwrap().is_err());
    }
    let before = std::fs::metadata(site.path("gate.state")).unwrap().len();
    let address = site.start();
    assert_eq!(Browser::new(&address).login("/_doorstep/login", "ana", "000000").status, 403);
    let size = std::fs::metadata(site.path("gate.state")).unwrap().len();
    assert!(size * 10 < before, "{size} of {before} bytes");
}

#[test]
fn who_was_granted_is_let_in_though_the_browser_cannot_be_remembered() {
    let mut site = Site::new(LOCAL);
    let seed = site.enrolled("ana", NOON);
    site.set_clock(NOON + 60);
    let size = || std::fs::metadata(site.path("gate.state")).unwrap().len();
    let before = size();
    assert_eq!(site.run(&["gate", "resync", "ana", "000000", "000001"]).status, 3);
    let after = size();
    // The file has room for the attempt and for the code's spending, and for nothing more.
    let limit = after + 2 * (after - before) + 8;
    let script = format!("trap '' XFSZ; exec prlimit --fsize={limit} \"$0\" --json gate");
    let command = site.command(&["gate"]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script]).arg(command.get_program()).current_dir(site.path(""));
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let gate = site.start_as(shell);
    let mut ana = Browser::new(&gate);
    let answer = ana.login("/_doorstep/login", "ana", &site.code(&seed, NOON + 60));
    assert_eq!(answer.status, 303, "{answer:?}");
    assert!(!ana.cookies.contains_key("__Host-doorstep-device"), "there was room for it");
    assert_eq!(ana.get("/_doorstep/check").status, 204);
    let again = Browser::new(&gate).login("/_doorstep/login", "ana", "123456");
    assert_eq!(again.status, 503, "no attempt without a record");
}

#[test]
fn one_of_many_logins_over_two_gates_gets_the_session_and_different_users_all_do() {
    let mut site = Site::new(LOCAL);
    let users: Vec<_> = (0..6).map(|user| format!("user{user}")).collect();
    let seeds: Vec<_> = users.iter().map(|user| site.enrolled(user, NOON)).collect();
    site.set_clock(NOON + 60);
    let gates = [site.start(), site.start()];
    let sessions = |jobs: Vec<(&str, String)>| {
        let start = Barrier::new(jobs.len());
        std::thread::scope(|scope| {
            let threads: Vec<_> = jobs
                .iter()
                .enumerate()
                .map(|(nth, (user, code))| {
                    let (gates, start) = (&gates, &start);
                    scope.spawn(move || {
                        let mut browser = Browser::new(&gates[nth % 2]);
                        let page = browser.get("/_doorstep/login");
                        start.wait();
                        browser.submit(&page, user, code);
                        // The session holds at the other gate as well.
                        browser.address = gates[(nth + 1) % 2].clone();
                        browser.get("/_doorstep/check").status == 204
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(|ok| *ok).count()
        })
    };
    let code = site.code(&seeds[0], NOON + 60);
    assert_eq!(sessions((0..12).map(|_| ("user0", code.clone())).collect()), 1);
    let all = users.iter().zip(&seeds).skip(1);
    assert_eq!(
        sessions(all.map(|(user, seed)| (user.as_str(), site.code(seed, NOON + 60))).collect()),
        5
    );
    let recovery =
        site.must(&["gate", "recovery", "user0"]).json["codes"][0].as_str().unwrap().to_owned();
    assert_eq!(sessions((0..12).map(|_| ("user0", recovery.clone())).collect()), 1);
}

#[test]
fn sessions_end_by_their_time_and_idle_ones_earlier() {
    let mut site = Site::new("verify = \"local\"\n[session]\nlifetime = \"1h\"\nidle = \"10m\"\n");
    let seed = site.enrolled("ana", NOON);
    site.set_clock(NOON + 60);
    let (gate, page) = (site.start(), page());
    let nginx = site.nginx(&gate, &page);
    let mut ana = Browser::new(&nginx);
    ana.login("/_doorstep/login", "ana", &site.code(&seed, NOON + 60));
    let mut idle = ana.clone();
    for minutes in [9, 18, 27, 36, 45, 54] {
        site.set_clock(NOON + 60 + minutes * 60);
        assert!(
            passes(&ana.get("/"), "ana"),
            "after {minutes} minutes; nginx passes the renewed cookie on"
        );
    }
    assert_eq!(idle.get("/").status, 302);
    site.set_clock(NOON + 60 + 3600);
    assert_eq!(ana.get("/").status, 302);
}

#[test]
fn a_real_gate_takes_no_simulated_clock_and_nothing_is_made_twice() {
    let site = Site::new(LOCAL);
    let before = std::fs::read(site.path("gate.state")).unwrap();
    let again = site.run(&["gate", "init", "--test"]);
    assert_eq!(again.status, 1);
    assert_eq!(std::fs::read(site.path("gate.state")).unwrap(), before);
    std::fs::create_dir(site.path("real")).unwrap();
    let real = |arguments: &[&str], clock: bool| {
        let mut command = site.command(arguments);
        if !clock {
            command.env_remove("DOORSTEP_CLOCK");
        }
        support::reply(&command.env("DOORSTEP_GATE", "real/gate.toml").output().unwrap())
    };
    assert_eq!(real(&["gate", "init"], true).status, 1);
    assert_eq!(real(&["gate", "init"], false).status, 0, "with the settings that it writes");
    for command in [&["gate", "list"][..], &["gate", "add", "ana"], &["gate"]] {
        let refused = real(command, true);
        assert_eq!(refused.status, 1, "{command:?}");
        assert!(refused.stderr.contains("takes no simulated clock"), "{}", refused.stderr);
    }
    assert_eq!(real(&["gate", "list"], false).json["accounts"].as_array().unwrap().len(), 0);

    // Whatever the umask, it does not refuse its own settings; and what an init left over is named.
    std::fs::create_dir(site.path("open")).unwrap();
    let open = |before: &str| {
        let script =
            format!("umask 002; {before} exec \"$0\" --json gate init --file open/gate.toml");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_doorstep")]);
        support::reply(&command.current_dir(site.path("")).output().unwrap())
    };
    assert_eq!(open("").status, 0);
    let again = open("rm open/gate.state;");
    let said = &again.stderr;
    assert!(again.status == 1 && said.contains("gate.key") && said.contains("remove it"), "{said}");
    assert_eq!(open("rm open/gate.key;").status, 0);
    assert_eq!(open("rm open/gate.*; chmod 775 open;").status, 1);
}

#[test]
fn what_an_operator_types_wrong_is_refused_with_a_hint() {
    let site = Site::new(LOCAL);
    let seed = site.must(&["gate", "add", "ana"]).text("secret");
    let refused = site.run(&["gate", "activate", "ana", &site.wrong(&seed, NOON)]);
    assert_eq!((refused.status, refused.outcome()), (3, "wrong_code"));
    assert_eq!(refused.text("server_time"), "2026-03-02T12:00:00Z");
    for _ in 0..9 {
        site.run(&["gate", "activate", "ana", &site.wrong(&seed, NOON)]);
    }
    let throttled = site.run(&["gate", "activate", "ana", &site.code(&seed, NOON)]);
    assert_eq!(throttled.outcome(), "throttled");
    assert_eq!(throttled.text("until"), "2026-03-02T16:00:00Z");
    for (arguments, status) in [
        (&["gate", "activate", "bo", "123456"][..], 1),
        (&["gate", "unlock", "bo"], 1),
        (&["gate", "remove", "bo"], 1),
        (&["gate", "sign-out", "bo"], 1),
        (&["gate", "remove", "ana", "--authenticator", "2"], 1),
        (&["gate", "add", "two words"], 2),
        (&["gate", "sign-out"], 2),
        (&["gate", "list", "--file", "nowhere.toml"], 1),
    ] {
        let reply = site.run(arguments);
        assert_eq!(reply.status, status, "{arguments:?}");
        assert!(!reply.stderr.is_empty());
    }
    std::fs::write(site.path("odd.toml"), "verify = \"local\"\nlissen = \"x\"\n").unwrap();
    let reply = site.run(&["gate", "list", "--file", "odd.toml"]);
    assert!(reply.status == 1 && reply.stderr.contains("line 2"), "{}", reply.stderr);
}
