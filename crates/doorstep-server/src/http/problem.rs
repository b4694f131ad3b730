//! Errors as clients see them: RFC 9457 problem details with a stable code and a hint.

use super::request_id;
use crate::seal::SealError;
use crate::store::StoreError;
use crate::utc::Utc;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use doorstep::time::Window;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeSet;
use utoipa::ToSchema;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:ident, $title:literal;)*) => {
        /// The stable names of problems; part of the API's contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),* }
            }

            const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }
        }
    };
}

codes! {
    /// No account has this id.
    AccountNotFound = "account_not_found", NOT_FOUND, "no such account";
    /// The code left in an earlier message; it is kept nowhere.
    AlreadySent = "already_sent", CONFLICT, "the code was already sent";
    /// The authenticator is of another kind than this is for.
    AuthenticatorKind = "authenticator_kind", CONFLICT, "not for this kind of authenticator";
    /// No authenticator has this id.
    AuthenticatorNotFound = "authenticator_not_found", NOT_FOUND, "no such authenticator";
    /// The authenticator is pending, active or disabled, and this is for another state.
    AuthenticatorState = "authenticator_state", CONFLICT, "not in this state of the authenticator";
    /// The request's body is larger than the endpoint takes.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "the body is too large";
    /// The booking was cancelled.
    BookingCancelled = "booking_cancelled", CONFLICT, "the booking was cancelled";
    /// The booking's window is over.
    BookingOver = "booking_over", CONFLICT, "the booking is over";
    /// No challenge has this id.
    ChallengeNotFound = "challenge_not_found", NOT_FOUND, "no such challenge";
    /// The server's clock went back behind a time that it told a lock.
    ClockDisagrees = "clock_disagrees", SERVICE_UNAVAILABLE, "the server's clock went back";
    /// The delivery has an outcome, so it cannot be planned.
    DeliveryClosed = "delivery_closed", CONFLICT, "the delivery is closed";
    /// No delivery has this id.
    DeliveryNotFound = "delivery_not_found", NOT_FOUND, "no such delivery";
    /// The delivery has not ended, so what it needs cannot be erased.
    DeliveryOpen = "delivery_open", CONFLICT, "the delivery has not ended";
    /// No device has this id.
    DeviceNotFound = "device_not_found", NOT_FOUND, "no such device";
    /// The device's key history split: a copy of it is about. It needs a new enrolment.
    DeviceForked = "device_forked", CONFLICT, "the device was copied";
    /// The device was reported lost. It needs a new enrolment.
    DeviceLost = "device_lost", CONFLICT, "the device was reported lost";
    /// The device may check a few bits of a code, and no whole one.
    DeviceNotManaged = "device_not_managed", UNPROCESSABLE_ENTITY, "the device is not managed";
    /// The delivery is another driver's, or only the dispatcher plans.
    NeedsDispatcher = "needs_dispatcher", CONFLICT, "only the dispatcher can do this";
    /// Another device enrolled with this key.
    DeviceKeyTaken = "device_key_taken", CONFLICT, "the key belongs to another device";
    /// The device is not enrolled, or what it holds is not trusted any more.
    DeviceNotReady = "device_not_ready", CONFLICT, "the device cannot take deliveries";
    /// The device came back with less than it had before. It needs a new enrolment.
    DeviceRolledBack = "device_rolled_back", CONFLICT, "the device was set back";
    /// The delivery was never disputed.
    DisputeNotFound = "dispute_not_found", NOT_FOUND, "no such dispute";
    /// The account has an authenticator with this secret.
    DuplicateSecret = "duplicate_secret", CONFLICT, "the secret is enrolled already";
    /// Another account has this name.
    DuplicateName = "duplicate_name", CONFLICT, "the name is taken";
    /// Another delivery has this reference.
    DuplicateReference = "duplicate_reference", CONFLICT, "the reference is taken";
    /// No event has this id; the oldest ones are forgotten.
    EventNotFound = "event_not_found", NOT_FOUND, "no such event";
    /// A code was made for another epoch, or the lock may not know the last one yet.
    EpochPending = "epoch_pending", CONFLICT, "another epoch is pending";
    /// Locks of another site have a group of this name.
    GroupTaken = "group_taken", CONFLICT, "the group is another site's";
    /// The request with this Idempotency-Key is being carried out.
    IdempotencyInFlight = "idempotency_in_flight", CONFLICT, "being carried out";
    /// Another request had this Idempotency-Key.
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "another request had this Idempotency-Key";
    /// The server stopped while it carried the request with this Idempotency-Key out.
    IdempotencyLost = "idempotency_lost", CONFLICT, "the answer was lost";
    /// A malfunction of the server.
    Internal = "internal", INTERNAL_SERVER_ERROR, "internal error";
    /// Fields have the wrong type, are missing, unknown, or out of bounds.
    InvalidFields = "invalid_fields", UNPROCESSABLE_ENTITY, "some fields are not valid";
    /// A header is not understood.
    InvalidHeader = "invalid_header", BAD_REQUEST, "a header is not valid";
    /// The query string is not understood.
    InvalidQuery = "invalid_query", BAD_REQUEST, "the query is not valid";
    /// A journal is not of this lock as it was provisioned last, or not whole.
    JournalInvalid = "journal_invalid", UNPROCESSABLE_ENTITY, "not a journal of this lock";
    /// The API key was revoked or has expired.
    KeyOver = "key_over", CONFLICT, "the API key is over";
    /// No API key has this id.
    KeyNotFound = "key_not_found", NOT_FOUND, "no such API key";
    /// The lock has no place to remember the uses of another PIN or pass.
    LockFull = "lock_full", CONFLICT, "the lock can remember no more";
    /// The body is not a document of the kind that the endpoint takes.
    MalformedBody = "malformed_body", BAD_REQUEST, "the body cannot be read";
    /// No message has this id.
    MessageNotFound = "message_not_found", NOT_FOUND, "no such message";
    /// The message is for nobody any more, or for nobody yet.
    MessageOver = "message_over", CONFLICT, "the message cannot be sent";
    /// The path exists, with other methods.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "the method is not allowed here";
    /// The API key may not do this.
    MissingScope = "missing_scope", FORBIDDEN, "the API key may not do this";
    /// No such path.
    NotFound = "not_found", NOT_FOUND, "no such path";
    /// No device has claimed anything about the delivery.
    NoClaims = "no_claims", CONFLICT, "nothing was claimed";
    /// All PINs of the window were given.
    NoPinsLeft = "no_pins_left", CONFLICT, "no PINs are left for this window";
    /// No key of the algorithm signs passes at the moment.
    NoSuchKey = "no_such_key", CONFLICT, "no key signs";
    /// The lock has no PINs that open as often as was asked for.
    NoSuchUse = "no_such_use", UNPROCESSABLE_ENTITY, "no PINs of this use";
    /// The lock shares no TOTP secret with the service.
    NoTotp = "no_totp", CONFLICT, "not a TOTP door";
    /// The delivery has not ended well, so there is no receipt.
    NotDelivered = "not_delivered", CONFLICT, "not delivered";
    /// No dispute of the delivery is open.
    NotDisputed = "not_disputed", CONFLICT, "not disputed";
    /// The device that has to check the code has not fetched it yet.
    NotHandedOut = "not_handed_out", CONFLICT, "the code is not on the driver's device yet";
    /// The lock takes no passes of this kind.
    NotTaken = "not_taken", UNPROCESSABLE_ENTITY, "the lock takes no such pass";
    /// The delivery has no plan, so there is no code.
    NotPlanned = "not_planned", CONFLICT, "the delivery is not planned";
    /// The pass is over.
    PassOver = "pass_over", CONFLICT, "the pass is over";
    /// The pass was revoked.
    PassRevoked = "pass_revoked", CONFLICT, "the pass was revoked";
    /// The pass waits for a phone to collect it.
    PassWaiting = "pass_waiting", CONFLICT, "the pass was not collected yet";
    /// The root under which keys of passes are stated is not on the machine.
    RootMissing = "root_missing", SERVICE_UNAVAILABLE, "the root of passes is away";
    /// A document is not signed by the device it names.
    SignatureInvalid = "signature_invalid", UNAUTHORIZED, "the signature does not fit";
    /// The request repeats an acknowledgement that is not the last one.
    SyncStale = "sync_stale", CONFLICT, "another sync came in between";
    /// As many codes of this kind were made as may be made in a day.
    Throttled = "throttled", TOO_MANY_REQUESTS, "too many of these";
    /// The enrolment ticket is unknown, used, or too old.
    TicketInvalid = "ticket_invalid", UNAUTHORIZED, "the ticket is not valid";
    /// The request took too long; whether it was carried out is unknown.
    Timeout = "timeout", SERVICE_UNAVAILABLE, "the request took too long";
    /// No window of the lock is long enough.
    TooLong = "too_long", UNPROCESSABLE_ENTITY, "longer than the lock's windows";
    /// As many requests, or as many that failed, as are taken in a minute.
    TooManyRequests = "too_many_requests", TOO_MANY_REQUESTS, "too many requests";
    /// There are as many webhooks as there may be.
    TooManyWebhooks = "too_many_webhooks", CONFLICT, "too many webhooks";
    /// The account has as many authenticators as it may have.
    TooManyAuthenticators = "too_many_authenticators", CONFLICT, "too many authenticators";
    /// As many keys sign passes as locks have room for.
    TooManyKeys = "too_many_keys", CONFLICT, "too many keys sign";
    /// No API key, or not a valid one.
    Unauthorized = "unauthorized", UNAUTHORIZED, "not authenticated";
    /// The server cannot store anything at the moment.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "the server cannot take this now";
    /// No booking has this id.
    UnknownBooking = "unknown_booking", NOT_FOUND, "no such booking";
    /// No group of locks has this name.
    UnknownGroup = "unknown_group", NOT_FOUND, "no such group";
    /// No lock has this id.
    UnknownLock = "unknown_lock", NOT_FOUND, "no such lock";
    /// No pass has this id.
    UnknownPass = "unknown_pass", NOT_FOUND, "no such pass";
    /// The body is not of the media type that the endpoint takes.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "unsupported media type";
    /// No webhook has this id.
    WebhookNotFound = "webhook_not_found", NOT_FOUND, "no such webhook";
    /// Another booking has the place at that time.
    WindowUnavailable = "window_unavailable", CONFLICT, "the window is taken";
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// The 0-based index in the imported list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) row: Option<usize>,
    /// The field, as in `recipients[0].phone`; `.` for the document itself.
    #[schema(example = "recipients[0].phone")]
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) message: String,
}

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Span {
    pub(crate) from: Utc,
    pub(crate) until: Utc,
}

impl From<Window> for Span {
    fn from(window: Window) -> Self {
        Self { from: Utc(window.from()), until: Utc(window.until()) }
    }
}

/// The body of every error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemBody {
    /// A name of the kind of problem.
    #[schema(example = "urn:doorstep:problem:delivery_not_found")]
    r#type: String,
    /// The kind of problem in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened this time.
    detail: String,
    /// The kind of problem for programs; stable.
    code: Code,
    /// What can be done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<Cow<'static, str>>,
    /// The request, for the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// The fields that are wrong, the first hundred.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// With `window_unavailable`: the nearest window of the same length that is free.
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest_free: Option<Span>,
}

/// A problem as a part of an answer that has others.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Refused {
    /// The kind of problem for programs; stable.
    code: Code,
    /// What happened this time.
    detail: String,
    /// What can be done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<Cow<'static, str>>,
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let Problem { code, detail, hint, errors, .. } = problem;
        Self { code, detail, hint, errors }
    }
}

/// An error on its way to the client.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    code: Code,
    detail: String,
    hint: Option<Cow<'static, str>>,
    errors: Vec<FieldError>,
    nearest_free: Option<Span>,
    /// Seconds until it is worth to ask again.
    retry_after: Option<u64>,
}

/// More errors than this help nobody.
const MAX_ERRORS: usize = 100;

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            hint: None,
            errors: Vec::new(),
            nearest_free: None,
            retry_after: None,
        }
    }

    pub(crate) fn hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Says in how many seconds it is worth to ask again.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// Says which window could be had instead.
    pub(crate) fn nearest_free(self, window: Window) -> Self {
        Self { nearest_free: Some(window.into()), ..self }
    }

    /// Fields that are wrong. The detail names the only one, or counts them; which rows they are in
    /// is said by the fields alone, because programs count rows from 0 and people do not.
    pub(crate) fn fields(mut errors: Vec<FieldError>) -> Self {
        let rows: BTreeSet<usize> = errors.iter().filter_map(|error| error.row).collect();
        let detail = match (errors.as_slice(), rows.len()) {
            ([], _) => "some fields are not valid".to_owned(),
            ([only], 0) => format!("{}: {}", only.field, only.message),
            ([only], _) => format!("1 row is wrong, {}: {}", only.field, only.message),
            (several, 0) => format!("{} fields are wrong", several.len()),
            (_, 1) => "1 row is wrong".to_owned(),
            (_, count) => format!("{count} rows are wrong"),
        };
        errors.truncate(MAX_ERRORS);
        Self { errors, ..Self::new(Code::InvalidFields, detail) }
    }

    /// One field that is wrong.
    pub(crate) fn field(field: impl Into<String>, message: impl ToString) -> Self {
        Self::fields(vec![FieldError {
            row: None,
            field: field.into(),
            message: message.to_string(),
        }])
    }

    /// A malfunction: the cause goes to the log, the client learns only that there was one.
    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        let mut causes = error.to_string();
        let mut next = error.source();
        while let Some(source) = next {
            causes.push_str(": ");
            causes.push_str(&source.to_string());
            next = source.source();
        }
        tracing::error!(request_id = request_id::current(), error = causes, "internal error");
        Self::new(Code::Internal, "the server failed to carry out the request")
            .hint("try again; if it stays, give the request id to who runs the server")
    }

    /// The fields that are wrong, for joining the problems of several rows.
    pub(crate) fn into_fields(self) -> Vec<FieldError> {
        self.errors
    }

    /// What happened, for telling it as the fault of a row.
    pub(crate) fn into_detail(self) -> String {
        self.detail
    }

    pub(crate) const fn code(&self) -> Code {
        self.code
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stopped => {
                Self::new(Code::Unavailable, "the database takes nothing at the moment")
                    .hint("try again; if it stays, the server has to be restarted")
            }
            other => Self::internal(&other),
        }
    }
}

impl From<SealError> for Problem {
    fn from(error: SealError) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let body = ProblemBody {
            r#type: format!("urn:doorstep:problem:{}", self.code.as_str()),
            title: self.code.title(),
            status: status.as_u16(),
            detail: self.detail,
            code: self.code,
            hint: self.hint,
            request_id: request_id::current(),
            errors: self.errors,
            nearest_free: self.nearest_free,
        };
        let mut response = (status, Json(body)).into_response();
        // For who counts and keeps answers.
        response.extensions_mut().insert(self.code);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        match self.code {
            Code::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Code::Timeout | Code::Unavailable if self.retry_after.is_none() => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headlines_count_what_is_wrong_and_leave_the_place_to_the_fields() {
        let wrong = |row, field: &str| FieldError {
            row,
            field: field.to_owned(),
            message: "must not be empty".to_owned(),
        };
        let detail = |errors| Problem::fields(errors).detail;
        assert_eq!(detail(vec![wrong(None, "name")]), "name: must not be empty");
        assert_eq!(detail(vec![wrong(Some(0), "name")]), "1 row is wrong, name: must not be empty");
        assert_eq!(detail(vec![wrong(None, "a"), wrong(None, "b")]), "2 fields are wrong");
        assert_eq!(detail(vec![wrong(Some(0), "a"), wrong(Some(0), "b")]), "1 row is wrong");
        assert_eq!(
            detail((0..300).map(|row| wrong(Some(row), "a")).collect()),
            "300 rows are wrong"
        );
    }

    #[test]
    fn codes_are_spelled_as_they_are_serialised() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
    }
}
