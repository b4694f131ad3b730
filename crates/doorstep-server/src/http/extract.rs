//! Requests are read strictly: the right media type, the right size, every field known and of its
//! type. What does not fit is named with its place and changes nothing.

use super::problem::{Code, FieldError, Problem};
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Unexpected, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// A JSON body.
pub(crate) struct ApiJson<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = body(request, state).await?;
        parse_json(&bytes, None).map(Self)
    }
}

async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    if !is_json(request.headers()) {
        return Err(Problem::new(Code::UnsupportedMediaType, "the body has to be JSON")
            .hint("send the header content-type: application/json"));
    }
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            Problem::new(Code::BodyTooLarge, "the body is larger than this endpoint takes")
                .hint("the OpenAPI document says how much; send less at a time")
        }
        _ => Problem::new(Code::MalformedBody, "the body broke off"),
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json"))
}

/// Reads one JSON document; errors name the field and, in a list, the row.
pub(crate) fn parse_json<T: DeserializeOwned>(
    bytes: &[u8],
    row: Option<usize>,
) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize::<_, Object<T>>(&mut deserializer);
    let value = parsed.map_err(|error| {
        let field = error.path().to_string();
        let error = error.into_inner();
        if error.is_data() {
            let message = without_value(&error);
            return Problem::fields(vec![FieldError { row, field, message }]);
        }
        Problem::new(Code::MalformedBody, format!("not JSON: {error}"))
    })?;
    deserializer
        .end()
        .map_err(|error| Problem::new(Code::MalformedBody, format!("not JSON: {error}")))?;
    Ok(value.0)
}

/// What is wrong with a field, without the value, which may be a secret in the wrong place: its type
/// and what was expected. The field says where already, and in a list the line would count from the
/// row's start.
fn without_value(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    match text.rsplit_once(", expected ") {
        Some((found, expected)) => {
            let kind = found.split(['`', '"']).next().unwrap_or_default().trim_end();
            format!("{kind}, expected {expected}")
        }
        None => text.to_owned(),
    }
}

/// The query string.
pub(crate) struct ApiQuery<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                let text = rejection.body_text();
                let message =
                    text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                Err(Problem::new(Code::InvalidQuery, message))
            }
        }
    }
}

/// A JSON object and nothing else: derived readers would take an array as well, its values in the
/// order of the fields.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }

            // A text in place of the whole may be a secret; it is not repeated in the answer.
            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Object<T>, E> {
                Err(E::invalid_type(Unexpected::Other("string"), &self))
            }
        }

        deserializer.deserialize_any(Fields(PhantomData))
    }
}

/// A secret that someone typed or a program sends: a JSON string and nothing else, and whatever
/// else stands there is not repeated in the answer.
pub(crate) fn secret_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Text;

    impl Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<String, E> {
            Err(E::invalid_type(Unexpected::Other("boolean"), &self))
        }

        fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<String, E> {
            Err(E::invalid_type(Unexpected::Other("number"), &self))
        }

        fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<String, E> {
            Err(E::invalid_type(Unexpected::Other("number"), &self))
        }

        fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<String, E> {
            Err(E::invalid_type(Unexpected::Other("number"), &self))
        }
    }

    deserializer.deserialize_any(Text)
}

/// As [`secret_text`], for a field that may be left out.
pub(crate) fn optional_secret_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    secret_text(deserializer).map(Some)
}

/// The answer to a path that does not exist.
pub(crate) async fn not_found() -> Problem {
    Problem::new(Code::NotFound, "there is nothing at this path")
        .hint("GET /v1/openapi.json lists what there is")
}

/// The answer to a method that a path does not have.
pub(crate) async fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed, "this path does not have this method")
        .hint("GET /v1/openapi.json lists what there is")
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn faults_name_the_field_and_what_was_expected() {
        let server = TestServer::new().await;
        for (body, field, message) in [
            (json!({"name": 5}), "name", "invalid type: integer, expected a string"),
            (json!({"name": "x, expected y", "at": "5\""}), "at", "unknown field, expected `name`"),
            (json!({}), ".", "missing field `name`"),
            (json!("name"), ".", "invalid type: string, expected an object"),
        ] {
            let (_, problem) = server.post("/v1/accounts", body).await;
            let error = &problem["errors"][0];
            assert_eq!((&error["field"], &error["message"]), (&json!(field), &json!(message)));
        }
    }

    /// Every field of every request about accounts, with a secret where something else belongs.
    #[tokio::test]
    async fn no_value_is_repeated() {
        const CANARY: &str = "JBSWY3DPEHPK3PXP";
        let server = TestServer::new().await;
        let document: Value = serde_json::from_str(&crate::openapi_json()).unwrap();
        let mut tried = 0;
        for (path, methods) in document["paths"].as_object().unwrap() {
            let about_accounts =
                ["accounts", "authenticators", "challenges"].iter().any(|name| path.contains(name));
            let schema = &methods["post"]["requestBody"]["content"]["application/json"]["schema"];
            let Some(name) = schema["$ref"].as_str().filter(|_| about_accounts) else { continue };
            let path = path.replace("{id}", "acc_0");
            let schema = &document["components"]["schemas"][name.rsplit('/').next().unwrap()];
            let authenticator = &document["components"]["schemas"]["EnrolAuthenticator"];
            let mut bodies: Vec<Value> = Vec::new();
            for value in [json!(CANARY), json!([CANARY]), json!({"x": CANARY}), json!(338_314)] {
                for field in schema["properties"].as_object().unwrap().keys() {
                    bodies.push(json!({ field.as_str(): value }));
                }
                for field in authenticator["properties"].as_object().unwrap().keys() {
                    let mut authenticator = json!({"kind": "totp"});
                    authenticator[field] = value.clone();
                    bodies
                        .push(json!({"rows": [{"account": "a", "authenticator": authenticator}]}));
                }
                bodies.push(value);
            }
            for body in bodies {
                let (status, problem) = server.post(&path, body.clone()).await;
                let problem = problem.to_string();
                let repeated = problem.contains(CANARY) || problem.contains("338314");
                assert!(status < 400 || !repeated, "{path} {body} {problem}");
                tried += 1;
            }
        }
        assert!(tried > 500, "{tried}");
    }
}
