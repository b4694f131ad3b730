//! The provider `twilio`: its API for messages, and its signed reports.

use super::provider::{client, needed, outcome, secret};
use super::{MessagesError, Outcome, Outgoing};
use crate::config::messages::Messages;
use crate::outgoing::{Client, Post, Url};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::Serializer;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha1::Sha1;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The path of reports about messages.
pub(crate) const STATUS_PATH: &str = "/v1/messages/status/twilio";

/// An account.
pub(crate) struct Twilio {
    client: Client,
    url: Url,
    account: String,
    token: Zeroizing<String>,
    from: String,
    /// This server's address for others.
    status_url: Option<String>,
}

#[derive(Deserialize)]
struct Taken {
    sid: String,
}

#[derive(Deserialize)]
struct Refused {
    code: u32,
    message: String,
}

impl Twilio {
    pub(super) fn open(settings: &Messages) -> Result<Self, MessagesError> {
        let client = client(settings)?;
        let account = needed("twilio_account", settings.twilio_account.as_ref())?.clone();
        // It becomes a part of a path.
        if account.is_empty() || !account.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(MessagesError::new("twilio_account", "is not an account's SID"));
        }
        let base = settings.twilio_url.trim_end_matches('/');
        let url = client
            .url(&format!("{base}/2010-04-01/Accounts/{account}/Messages.json"))
            .map_err(|error| MessagesError::new("twilio_url", error))?;
        let token = secret("twilio_token_file", settings.twilio_token_file.as_ref())?;
        let from = needed("twilio_from", settings.twilio_from.as_ref())?.clone();
        let status_url = match &settings.status_url {
            Some(text) => {
                let text = text.trim_end_matches('/');
                client.url(text).map_err(|error| MessagesError::new("status_url", error))?;
                Some(text.to_owned())
            }
            None => None,
        };
        Ok(Self { client, url, account, token, from, status_url })
    }

    pub(super) fn reach(&self) -> Result<String, String> {
        self.client.reach(&self.url).map_err(|error| error.to_string())
    }

    pub(super) async fn send(&self, message: &Outgoing) -> Outcome {
        let body = self.form(message);
        let credentials = Zeroizing::new(format!("{}:{}", self.account, *self.token));
        let headers = vec![
            ("content-type", Zeroizing::new("application/x-www-form-urlencoded".to_owned())),
            ("authorization", Zeroizing::new(format!("Basic {}", STANDARD.encode(&*credentials)))),
        ];
        let answer = self.client.post(Post { url: self.url.clone(), headers, body }).await;
        outcome(
            answer,
            |body| serde_json::from_slice::<Taken>(body).ok().map(|taken| taken.sid),
            |body| {
                let refused: Refused = serde_json::from_slice(body).ok()?;
                Some(format!("{} {}", refused.code, refused.message))
            },
        )
    }

    fn form(&self, message: &Outgoing) -> Zeroizing<Vec<u8>> {
        let sender = if self.from.starts_with("MG") { "MessagingServiceSid" } else { "From" };
        let mut form = Serializer::new(String::new());
        form.append_pair("To", &message.to)
            .append_pair(sender, &self.from)
            .append_pair("Body", &message.text);
        if let Some(base) = &self.status_url {
            // With the id, since a report may come before the answer that has Twilio's own.
            let url = format!("{base}{STATUS_PATH}?message={}", message.id);
            form.append_pair("StatusCallback", &url);
        }
        Zeroizing::new(form.finish().into_bytes())
    }

    /// What a report says about a message; `None` unless it is signed with the account's token.
    pub(crate) fn report(
        &self,
        path_and_query: &str,
        signature: &str,
        body: &[u8],
    ) -> Option<String> {
        let url = format!("{}{path_and_query}", self.status_url.as_ref()?);
        let mut fields: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        fields.sort();
        let expected = self.signature(&url, &fields)?;
        let given = STANDARD.decode(signature).ok()?;
        if !bool::from(given.as_slice().ct_eq(&expected)) {
            return None;
        }
        fields.into_iter().find(|(name, _)| name == "MessageStatus").map(|(_, status)| status)
    }

    /// HMAC-SHA1 over the address and all fields, names and values one after the other.
    fn signature(&self, url: &str, fields: &[(String, String)]) -> Option<[u8; 20]> {
        let mut mac = Hmac::<Sha1>::new_from_slice(self.token.as_bytes()).ok()?;
        mac.update(url.as_bytes());
        for (name, value) in fields {
            mac.update(name.as_bytes());
            mac.update(value.as_bytes());
        }
        Some(mac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn twilio(token: &str) -> Twilio {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        doorstep_files::private::create(&file, token.as_bytes()).unwrap();
        Twilio::open(&Messages {
            twilio_account: Some("AC1".to_owned()),
            twilio_token_file: Some(file),
            twilio_from: Some("+15005550006".to_owned()),
            status_url: Some("https://mycompany.com/".to_owned()),
            ..Messages::default()
        })
        .unwrap()
    }

    /// The example of Twilio's own documentation.
    const BODY: &str = "Digits=1234&To=%2B18005551212&From=%2B14158675309&Caller=%2B14158675309&CallSid=CA1234567890ABCDE";
    const SIGNATURE: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";

    #[test]
    fn the_published_example_of_a_signature_fits() {
        let twilio = twilio("12345");
        let mut fields: Vec<_> = form_urlencoded::parse(BODY.as_bytes()).into_owned().collect();
        fields.sort();
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        let signature = twilio.signature(url, &fields).unwrap();
        assert_eq!(STANDARD.encode(signature), SIGNATURE);
        // It is no report about a message, but it is believed.
        assert_eq!(twilio.report("/myapp.php?foo=1&bar=2", SIGNATURE, BODY.as_bytes()), None);
    }

    #[test]
    fn a_report_is_believed_with_its_signature_alone() {
        let twilio = twilio("12345");
        let path = "/v1/messages/status/twilio?message=msg_1";
        let body = "MessageSid=SM1&MessageStatus=delivered";
        let fields: Vec<_> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let url = format!("https://mycompany.com{path}");
        let signed = STANDARD.encode(twilio.signature(&url, &fields).unwrap());
        let report =
            |path: &str, signed: &str, body: &str| twilio.report(path, signed, body.as_bytes());
        assert_eq!(report(path, &signed, body).as_deref(), Some("delivered"));
        let swapped = "MessageStatus=delivered&MessageSid=SM1";
        assert_eq!(report(path, &signed, swapped).as_deref(), Some("delivered"));
        assert_eq!(report("/v1/messages/status/twilio?message=msg_2", &signed, body), None);
        assert_eq!(report(path, &signed, "MessageSid=SM1&MessageStatus=failed"), None);
        assert_eq!(report(path, &signed, &format!("{body}&ErrorCode=1")), None);
        assert_eq!(report(path, "", body), None);
        assert_eq!(report(path, &signed[..8], body), None);
        assert_eq!(self::twilio("54321").report(path, &signed, body.as_bytes()), None);
    }

    #[test]
    fn an_account_is_no_path() {
        let settings =
            Messages { twilio_account: Some("../AC1".to_owned()), ..Messages::default() };
        let error = Twilio::open(&settings).err().unwrap();
        assert_eq!(error.to_string(), "setting messages.twilio_account: is not an account's SID");
    }
}
