//! What the screen shows and wants, without a terminal.

use super::*;
use crate::auth::incoming::of_lines;
use proptest::prelude::*;

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn vault() -> Vec<Authenticator> {
    let lines = format!(
        "otpauth://totp/GitHub:ana?secret={SECRET}\n\
         otpauth://hotp/Bank:ana?secret={SECRET}&counter=0\n\
         otpauth://totp/Git:bo?secret={SECRET}&digits=8"
    );
    of_lines(&lines).into_iter().map(|one| one.read.unwrap()).collect()
}

fn screen(seconds: u64) -> Screen {
    Screen::new(vault(), at(seconds), 300)
}

fn text(screen: &Screen) -> String {
    let line = |line: Line| line.iter().map(|(_, text)| text.as_str()).collect::<String>() + "\n";
    screen.view().into_iter().map(line).collect()
}

fn keys(screen: &mut Screen, typed: &str) {
    for c in typed.chars() {
        assert!(matches!(screen.handle(Event::Key(Key::Char(c))), Wish::Nothing), "{c}");
    }
}

#[test]
fn codes_count_down_and_the_next_one_comes_in_time() {
    let mut screen = screen(30);
    assert!(text(&screen).contains("287 082  ██████████ 30 s\n"), "{}", text(&screen));
    assert!(!text(&screen).contains("then"));
    screen.handle(Event::Tick(at(49)));
    assert!(text(&screen).contains("287 082  ████░░░░░░ 11 s\n"), "{}", text(&screen));
    screen.handle(Event::Tick(at(50)));
    assert!(text(&screen).contains("10 s  then 359 152"), "{}", text(&screen));
    screen.handle(Event::Tick(at(60)));
    assert!(text(&screen).contains("359 152  ██████████ 30 s\n"), "{}", text(&screen));
}

#[test]
fn a_search_narrows_and_its_letters_are_no_commands() {
    let mut screen = screen(0);
    keys(&mut screen, "/qbo");
    assert!(text(&screen).contains("nothing is called so"));
    for _ in 0..3 {
        screen.handle(Event::Key(Key::Backspace));
    }
    keys(&mut screen, "git");
    assert!(text(&screen).starts_with("2 of 3   /git_\n"), "{}", text(&screen));
    assert!(!text(&screen).contains("Bank"));
    keys(&mut screen, "hub");
    assert!(text(&screen).starts_with("1 of 3"));
    screen.handle(Event::Key(Key::Enter));
    assert!(matches!(screen.handle(Event::Key(Key::Escape)), Wish::Nothing), "first the search");
    assert!(text(&screen).starts_with("3 of 3\n"));
    assert!(matches!(screen.handle(Event::Key(Key::Escape)), Wish::Quit));
}

#[test]
fn q_and_ctrl_c_quit_and_ctrl_c_does_so_everywhere() {
    assert!(matches!(screen(0).handle(Event::Key(Key::Char('q'))), Wish::Quit));
    let mut searching = screen(0);
    keys(&mut searching, "/");
    assert!(matches!(searching.handle(Event::Key(Key::Interrupt)), Wish::Quit));
    let mut locked = screen(0);
    locked.handle(Event::Tick(at(300)));
    assert!(matches!(locked.handle(Event::Key(Key::Interrupt)), Wish::Quit));
}

#[test]
fn only_a_counter_is_asked_for_its_next_code() {
    let mut screen = screen(0);
    assert!(matches!(screen.handle(Event::Key(Key::Char('n'))), Wish::Nothing));
    assert!(text(&screen).contains("with a counter"));
    screen.handle(Event::Key(Key::Down));
    let Wish::Count(one) = screen.handle(Event::Key(Key::Char('n'))) else { panic!("no wish") };
    assert_eq!(one.issuer(), "Bank");
    assert!(text(&screen).contains("press n"), "nothing is shown before it is durable");
    let Authenticator::Otp(Entry { kind: Kind::Hotp { hotp, .. }, secret, .. }) = &*one else {
        panic!("no counter")
    };
    let code = hotp.code(&hotp.keyed(secret), 0);
    screen.handle(Event::Counted { authenticators: vault(), place: 1, code });
    assert!(text(&screen).contains("755 224"));
}

#[test]
fn hidden_codes_are_dots() {
    let mut screen = screen(59);
    keys(&mut screen, "h");
    let hidden = text(&screen);
    assert!(hidden.contains("••• •••") && !hidden.contains("287") && !hidden.contains("359"));
    keys(&mut screen, "h");
    assert!(text(&screen).contains("287 082"));
}

#[test]
fn it_locks_when_nobody_is_there_and_forgets_everything() {
    for later in [100 + 300, 0] {
        let mut screen = Screen::new(vault(), at(100), if later == 0 { 100 } else { 300 });
        keys(&mut screen, "/git");
        assert!(matches!(screen.handle(Event::Tick(at(later))), Wish::Lock), "{later}");
        let locked = text(&screen);
        assert!(locked.starts_with("locked\n") && !locked.contains("Git"), "{locked}");
        assert!(matches!(screen.handle(Event::Tick(at(later + 1))), Wish::Nothing), "once");
        keys(&mut screen, "qh/nx");
        screen.handle(Event::Key(Key::Backspace));
        assert!(text(&screen).contains("passphrase: ****\n") && !text(&screen).contains("qh"));
        let Wish::Open(passphrase) = screen.handle(Event::Key(Key::Enter)) else { panic!() };
        assert_eq!(*passphrase, "qh/n");
        screen.handle(Event::Said("wrong passphrase".to_owned()));
        assert!(text(&screen).contains("passphrase: \nwrong passphrase"));
        screen.handle(Event::Opened(vault()));
        assert!(text(&screen).starts_with("3 of 3\n"));
    }
}

#[test]
fn a_key_keeps_it_open() {
    let mut screen = screen(0);
    for second in (200..2000).step_by(200) {
        assert!(matches!(screen.handle(Event::Tick(at(second))), Wish::Nothing));
        screen.handle(Event::Key(Key::Down));
    }
    assert!(text(&screen).contains("> Git "), "{}", text(&screen));
}

#[test]
fn a_long_list_scrolls_with_the_selection() {
    let lines: String =
        (10..60).map(|nth| format!("otpauth://totp/N:n{nth}?secret={SECRET}\n")).collect();
    let all: Vec<_> = of_lines(&lines).into_iter().map(|one| one.read.unwrap()).collect();
    let mut screen = Screen::new(all, at(0), 300);
    screen.handle(Event::Size(40, 10));
    assert!(text(&screen).contains("> N  n10") && !text(&screen).contains("n16"));
    screen.handle(Event::Key(Key::PageDown));
    screen.handle(Event::Key(Key::PageDown));
    assert!(text(&screen).contains("> N  n22"), "{}", text(&screen));
    for _ in 0..100 {
        screen.handle(Event::Key(Key::Down));
    }
    assert!(text(&screen).contains("> N  n59"));
    assert_eq!(screen.view().len(), 10);
}

fn any_key() -> impl Strategy<Value = Key> {
    prop_oneof![
        any::<char>().prop_map(Key::Char),
        "[qhnjk/]".prop_map(|text| Key::Char(text.chars().next().unwrap())),
        Just(Key::Enter),
        Just(Key::Escape),
        Just(Key::Backspace),
        Just(Key::Up),
        Just(Key::Down),
        Just(Key::PageUp),
        Just(Key::PageDown),
    ]
}

proptest! {
    #[test]
    fn whatever_is_pressed_whenever_on_whatever_terminal(
        pressed in proptest::collection::vec((any_key(), any::<u64>()), 0..40),
        columns in 0_usize..100, lines in 0_usize..40,
    ) {
        let mut screen = screen(0);
        screen.handle(Event::Size(columns, lines));
        for (key, seconds) in pressed {
            screen.handle(Event::Key(key));
            screen.handle(Event::Tick(at(seconds)));
            let view = screen.view();
            prop_assert!(view.len() <= lines);
            for line in view {
                let width: usize = line.iter().map(|(_, text)| text.chars().count()).sum();
                prop_assert!(width <= columns);
            }
        }
    }
}
