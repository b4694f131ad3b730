//! Wording, and each provider against a real receiver on this machine.

mod exec;
mod http;
mod smtp;

use super::*;
use crate::config::messages::Messages;
use crate::utc;
use doorstep::code::{Code, Shape};
use doorstep::handover::stop::ScanText;
use doorstep::handover::tag::ScanSecret;
use doorstep::secret::Secret;

fn config(messages: Messages) -> Config {
    Config { messages, ..Config::new("/nowhere".into()) }
}

fn open(messages: Messages) -> Messenger {
    Messenger::open(&config(messages)).unwrap()
}

fn refused(messages: Messages) -> String {
    Messenger::open(&config(messages)).err().unwrap().to_string()
}

fn content() -> Content {
    let code = Code::parse("00291635", Shape::DIGITS_8).unwrap();
    Content::new(ScanSecret::new(Secret::from_bytes([1; 16])), &code)
}

fn about() -> About {
    About {
        delivery: DeliveryId::parse("dlv_1").unwrap(),
        reference: "A-1".to_owned(),
        generation: 2,
        slot: 0,
    }
}

/// From nine to eleven in Madrid.
fn window() -> Window {
    let at = |text: &str| utc::read(text).unwrap();
    Window::new(at("2027-01-15T08:00:00Z"), at("2027-01-15T10:00:00Z")).unwrap()
}

fn word(messenger: &Messenger, place: &Place, replaces: bool) -> Outgoing {
    let content = content();
    let says = Says::Code { content: &content, window: window(), replaces };
    let at = Timestamp::from_seconds(1_800_000_000);
    messenger.word(("msg_1", "+34612345678"), Some(about()), place, &says, at).unwrap()
}

fn message(messenger: &Messenger) -> Outgoing {
    word(messenger, &Place::default(), false)
}

#[test]
fn a_message_says_what_to_do_and_carries_the_secret_in_the_fragment_only() {
    let link_base = Some("https://example.org/d".to_owned());
    let messenger = open(Messages { link_base, ..Messages::default() });
    let message = word(&messenger, &Place::default(), true);
    assert!(message.text.starts_with(
        "A-1: your delivery code is 0029 1635. This code replaces the earlier one. Give it to"
    ));
    let (link, fragment) = message.text.split_once('#').unwrap();
    assert!(link.ends_with("https://example.org/d"));
    assert_eq!(ScanText::parse(fragment).unwrap().secret.expose(), &[1; 16]);
    let plain = self::message(&open(Messages::default()));
    assert!(!plain.text.contains('#') && !plain.text.contains("replaces"), "{}", *plain.text);
    assert_eq!(plain.subject, "A-1");
}

#[test]
fn times_are_those_of_the_place_and_words_of_the_language() {
    let messenger = open(Messages {
        shop: Some("Casa Verde".to_owned()),
        zone: Some("Europe/Madrid".to_owned()),
        ..Messages::default()
    });
    let say = |language: Option<&str>, zone: Option<&str>| {
        let place = Place { language: language.map(str::to_owned), zone: zone.map(str::to_owned) };
        word(&messenger, &place, false).text.to_string()
    };
    assert!(say(None, None).starts_with(
        "Casa Verde, A-1: your delivery code is 0029 1635. The driver comes on 15 Jan between 09:00 and 11:00."
    ));
    assert!(say(Some("es"), None).contains(
        "su código de entrega es 0029 1635. El repartidor llega el 15/1 entre las 09:00"
    ));
    let away = say(Some("de"), Some("America/New_York"));
    assert!(away.contains(
        "Ihr Zustellcode ist 0029 1635. Der Fahrer kommt am 15.1. zwischen 03:00 und 05:00 Uhr."
    ));
    // Without a zone nobody is told a time that may be another place's.
    assert!(!message(&open(Messages::default())).text.contains("comes on"));
}

#[test]
fn what_a_business_calls_things_is_put_in_and_never_read() {
    let messenger =
        open(Messages { shop: Some("{code} {{link}}".to_owned()), ..Messages::default() });
    let content = content();
    let about = About { reference: "{code}#%s".to_owned(), ..about() };
    let says = Says::Code { content: &content, window: window(), replaces: false };
    let at = Timestamp::from_seconds(1_800_000_000);
    let message =
        messenger.word(("msg_1", "1"), Some(about), &Place::default(), &says, at).unwrap();
    assert!(
        message.text.starts_with("{code} {{link}}, {code}#%s: your delivery code is 0029 1635.")
    );
    assert!(!message.subject.contains("0029"), "{}", message.subject);
}

#[test]
fn errors_are_kept_short_and_without_codes() {
    let messenger = open(Messages::default());
    let message = message(&messenger);
    let scan = content().scan_text(about().delivery, 2, 0);
    let error =
        format!("no\r\nroute for \"{}\" 00291635 {}{}", *message.text, *scan, "x".repeat(500));
    let kept = message.without_secrets(&error);
    assert!(kept.starts_with("no  route for \"A-1: your delivery code is …."), "{kept}");
    assert!(!kept.contains("0029") && !kept.contains(scan.as_str()));
    assert_eq!(kept.chars().count(), 200);
    let short = message.without_secrets(&format!("00291635 {}", *scan));
    assert_eq!(short, "… …");
    let number = message.without_secrets("no route to +34612345678 (34612345678)");
    assert_eq!(number, "no route to … (…)");
}

#[test]
fn quiet_hours_hold_what_can_wait() {
    let messenger = open(Messages {
        zone: Some("Europe/Madrid".to_owned()),
        quiet_hours: Some("22:00-07:00".to_owned()),
        ..Messages::default()
    });
    let until = |expected: &str, now: &str| {
        let (expected, now) = (utc::read(expected).unwrap(), utc::read(now).unwrap());
        messenger.quiet_until(&Place::default(), expected, now).map(utc::write)
    };
    // Seven in Madrid is six in UTC. The driver comes at eight: it waits until seven.
    let early = "2027-01-15T05:30:00Z";
    assert_eq!(until("2027-01-15T07:00:00Z", early).as_deref(), Some("2027-01-15T06:00:00Z"));
    assert_eq!(until("2027-01-15T06:00:00Z", early).as_deref(), Some("2027-01-15T06:00:00Z"));
    assert_eq!(until("2027-01-15T05:59:59Z", early), None, "he would come before it");
    assert_eq!(until("2027-01-15T12:00:00Z", "2027-01-15T06:00:00Z"), None, "it is day");
    // In New York it is still night then, until seven there.
    let away = Place { zone: Some("America/New_York".to_owned()), ..Place::default() };
    let at = |text: &str| utc::read(text).unwrap();
    let end = messenger.quiet_until(&away, at("2027-01-15T20:00:00Z"), at("2027-01-15T06:00:00Z"));
    assert_eq!(end.map(utc::write).as_deref(), Some("2027-01-15T12:00:00Z"));
}

#[test]
fn settings_that_cannot_work_are_said_at_the_start() {
    use crate::config::messages::Provider as Name;
    let base = Messages::default;
    for (messages, said) in [
        (
            Messages { language: "xx".to_owned(), ..base() },
            "language: \"xx\" is none of de, en, es",
        ),
        (Messages { zone: Some("Madrid".to_owned()), ..base() }, "zone: \"Madrid\" is no zone"),
        (
            Messages { quiet_hours: Some("22:00-07:00".to_owned()), ..base() },
            "zone: quiet hours need one",
        ),
        (
            Messages { quiet_hours: Some("22-7".to_owned()), ..base() },
            "quiet_hours: \"22-7\" is not like",
        ),
        (Messages { retry: "10".to_owned(), ..base() }, "retry: \"10\" is not like"),
        (Messages { retry: "0s".to_owned(), ..base() }, "retry: \"0s\" is not like"),
        (Messages { retry: "2m 25h".to_owned(), ..base() }, "retry: \"2m 25h\" is not like"),
        (Messages { parallel: 0, ..base() }, "parallel: is not between"),
        (Messages { provider: Name::Http, ..base() }, "http_url: is needed by this provider"),
        (Messages { provider: Name::Twilio, ..base() }, "twilio_account: is needed"),
        (Messages { provider: Name::Smtp, ..base() }, "smtp_server: is needed"),
        (Messages { provider: Name::Exec, ..base() }, "exec_program: is needed"),
        (
            Messages { provider: Name::Exec, exec_program: Some("send".into()), ..base() },
            "exec_program: is not a whole path",
        ),
        (
            Messages { provider: Name::Exec, exec_program: Some("/etc/passwd".into()), ..base() },
            "exec_program: /etc/passwd is not a program",
        ),
        (
            Messages {
                provider: Name::Http,
                http_url: Some("http://example.org/".to_owned()),
                ..base()
            },
            "http_url: has to begin with https://",
        ),
        (
            Messages {
                provider: Name::Http,
                http_url: Some("https://example.org/".to_owned()),
                http_secret_file: Some("/nowhere/secret".into()),
                ..base()
            },
            "http_secret_file: ",
        ),
        (
            Messages { provider: Name::Http, timeout_seconds: 0, ..base() },
            "timeout_seconds: is not between 1 and 60",
        ),
    ] {
        let error = refused(messages);
        assert!(error.starts_with(&format!("setting messages.{said}")), "{error}");
    }
    assert_eq!(retry("10s 2m 1h").unwrap(), [10, 120, 3600]);
    assert_eq!(retry("").unwrap(), [0_u64; 0]);
}
