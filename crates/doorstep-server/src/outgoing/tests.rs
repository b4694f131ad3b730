//! The guarded client against real receivers on this machine.

use super::*;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Listens, counts connections, reads each request's head and answers with `answer`; without one
/// it keeps the connection open and says nothing.
struct Receiver {
    address: SocketAddr,
    taken: Arc<AtomicUsize>,
}

impl Receiver {
    fn start(answer: Option<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let Some(answer) = &answer else {
                    kept.push(stream);
                    continue;
                };
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                    head.push(byte[0]);
                }
                // The client may have heard enough before the end.
                let _ = stream.write_all(answer);
            }
        });
        Self { address, taken }
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/in", self.address.port())
    }
}

fn rules() -> Rules {
    Rules { allow_private: true, allow_http: true, ca_file: None, timeout: Duration::from_secs(20) }
}

async fn post(rules: &Rules, url: &str) -> Result<Answer, SendError> {
    let client = Client::new(rules).unwrap();
    let url = client.url(url).unwrap();
    client.post(Post { url, headers: Vec::new(), body: Zeroizing::new(b"{}".to_vec()) }).await
}

#[tokio::test]
async fn an_answer_comes_back_whatever_its_status() {
    for (status, line) in [(200, "200 OK"), (410, "410 Gone"), (500, "500 Oh")] {
        let answer = format!("HTTP/1.1 {line}\r\ncontent-length: 2\r\n\r\nok");
        let receiver = Receiver::start(Some(answer.into_bytes()));
        let answer = post(&rules(), &receiver.url("127.0.0.1")).await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (status, b"ok".as_slice()));
    }
}

#[tokio::test]
async fn no_spelling_of_a_private_address_is_reached() {
    let receiver = Receiver::start(Some(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()));
    let closed = Rules { allow_private: false, ..rules() };
    for host in [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
    ] {
        let refused = post(&closed, &receiver.url(host)).await.unwrap_err();
        assert!(matches!(refused, SendError::NotReached(_)), "{host}: {refused}");
        assert!(!refused.to_string().contains("127."), "{refused}");
    }
    assert_eq!(receiver.taken(), 0);
    post(&rules(), &receiver.url("localhost")).await.unwrap();
    assert_eq!(receiver.taken(), 1, "the same is reached where that is allowed");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let target = Receiver::start(Some(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()));
    for code in [301, 302, 303, 307, 308] {
        let answer = format!(
            "HTTP/1.1 {code} Elsewhere\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
            target.url("127.0.0.1")
        );
        let first = Receiver::start(Some(answer.into_bytes()));
        let answer = post(&rules(), &first.url("127.0.0.1")).await.unwrap();
        assert_eq!(answer.status, code);
    }
    assert_eq!(target.taken(), 0);
}

#[tokio::test]
async fn endless_heads_and_bodies_are_not_read_to_their_end() {
    let body = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 200_000]].concat();
    let receiver = Receiver::start(Some(body));
    let answer = post(&rules(), &receiver.url("127.0.0.1")).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 0), "what it said, without the rest");

    let head = [b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'x'; 200_000]].concat();
    let receiver = Receiver::start(Some(head));
    let error = post(&rules(), &receiver.url("127.0.0.1")).await.unwrap_err();
    assert!(matches!(error, SendError::NoAnswer(_)), "{error}");
}

#[tokio::test]
async fn silence_is_not_waited_for_and_may_have_been_a_yes() {
    let receiver = Receiver::start(None);
    let hasty = Rules { timeout: Duration::from_millis(200), ..rules() };
    let error = post(&hasty, &receiver.url("127.0.0.1")).await.unwrap_err();
    assert!(matches!(error, SendError::NoAnswer(_)), "{error}");
    // Headers came, the body does not end.
    let begun = b"HTTP/1.1 202 Yes\r\ncontent-length: 10\r\n\r\nhalf".to_vec();
    let receiver = Receiver::start(Some(begun));
    let answer = post(&hasty, &receiver.url("127.0.0.1")).await.unwrap();
    assert_eq!(answer.status, 202);
}

#[tokio::test]
async fn what_was_never_reached_is_told_apart() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = post(&rules(), &format!("http://{gone}/")).await.unwrap_err();
    assert!(matches!(error, SendError::NotReached(_)), "{error}");
    let error = post(&rules(), "http://no-such-host.invalid/").await.unwrap_err();
    assert!(matches!(error, SendError::NotReached(_)), "{error}");
    // A server that speaks no TLS.
    let plain = Receiver::start(Some(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()));
    let url = plain.url("127.0.0.1").replace("http:", "https:");
    let hasty = Rules { timeout: Duration::from_millis(500), ..rules() };
    let error = post(&hasty, &url).await.unwrap_err();
    assert!(matches!(error, SendError::NotReached(_)), "{error}");
}

#[tokio::test]
async fn a_header_cannot_bring_another() {
    let receiver = Receiver::start(Some(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()));
    let client = Client::new(&rules()).unwrap();
    for value in ["a\r\nx-other: b", "a\nb", "a\0b"] {
        let post = Post {
            url: client.url(&receiver.url("127.0.0.1")).unwrap(),
            headers: vec![("webhook-id", Zeroizing::new(value.to_owned()))],
            body: Zeroizing::default(),
        };
        let error = client.post(post).await.unwrap_err();
        assert!(matches!(error, SendError::NotReached(_)), "{error}");
        assert!(!error.to_string().contains("x-other"));
    }
    assert_eq!(receiver.taken(), 0);
}

#[test]
fn addresses_that_are_not_taken() {
    for (text, error) in [
        ("", UrlError::Malformed),
        ("example.org/path", UrlError::Malformed),
        ("/path", UrlError::Malformed),
        ("https://", UrlError::Malformed),
        ("https://example.org/#part", UrlError::Malformed),
        ("https://exa mple.org/", UrlError::Malformed),
        ("https://example.org/\r\nx: y", UrlError::Malformed),
        ("http://example.org/", UrlError::NotHttps),
        ("ftp://example.org/", UrlError::NotHttps),
        ("file:///etc/passwd", UrlError::Malformed),
        ("https://user@example.org/", UrlError::UserInfo),
        ("https://user:secret@example.org/", UrlError::UserInfo),
        ("https://example.org@127.0.0.1/", UrlError::UserInfo),
    ] {
        assert_eq!(Url::parse(text, false), Err(error), "{text:?}");
    }
    let long = format!("https://example.org/{}", "a".repeat(2048));
    assert_eq!(Url::parse(&long, false), Err(UrlError::Long(2068)));
    assert!(Url::parse("http://example.org/", true).is_ok());
    assert_eq!(Url::parse("gopher://example.org/", true), Err(UrlError::NotHttps));
    let taken = Url::parse("https://example.org:8443/hook?a=b", false).unwrap();
    assert_eq!(taken.to_string(), "https://example.org:8443/hook?a=b");
}

#[test]
fn certificates_come_from_a_file_that_has_some() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let with = |path: &Path| Client::new(&Rules { ca_file: Some(path.to_owned()), ..rules() });
    assert!(matches!(with(&path), Err(RulesError::Io { .. })));
    fs::write(&path, "no certificate").unwrap();
    assert!(matches!(with(&path), Err(RulesError::NoCertificate { .. })));
}
