//! One token of each library, for whoever has it: for which door, and between which times. All say the same, and
//! are signed with the same key.

use biscuit_auth::macros::{authorizer, biscuit};
use biscuit_auth::{AuthorizerLimits, Biscuit, KeyPair, PrivateKey, UnverifiedBiscuit, builder};
use doorstep::clock::{AfterPowerLoss, Belief, Clock, Oscillator};
use doorstep::cose::keys::{IssuerKey, Signer};
use doorstep::keypad::key::RootKey;
use doorstep::ledger::{Head, Place, Receipt};
use doorstep::pass::claims::{Audience, Pass, PassId, Scope};
use doorstep::pass::document::Content;
use doorstep::pass::issue::{Unsigned, maced};
use doorstep::pass::key::{PassKey, TrustedKeys};
use doorstep::pass::presented::Presented;
use doorstep::pass::reader::{Groups, Moment, Reader};
use doorstep::pass::record::Record;
use doorstep::pass::state::State;
use doorstep::secret::Secret;
use doorstep::time::{Timestamp, Window};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use pasetors::claims::{Claims, ClaimsValidationRules};
use pasetors::keys::{AsymmetricPublicKey, AsymmetricSecretKey};
use pasetors::token::UntrustedToken;
use pasetors::{Public, version4::V4};
use serde::{Deserialize, Serialize};
use std::str::from_utf8;
use std::time::{Duration, SystemTime};

/// The door of all of them.
pub const DOOR: &str = "lk-00042";

/// What a token says.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// For which door.
    pub door: &'a str,
    /// From when.
    pub from: Time,
    /// Until when.
    pub until: Time,
}

/// A time in UTC seconds, and in text.
pub type Time = (u64, &'static str);

/// A library that makes and takes tokens, at [`DOOR`].
pub trait Peer {
    /// Makes one.
    fn issue(&self, said: &Said<'_>) -> Vec<u8>;
    /// Whether a token is authentic, and opens the door now.
    fn opens(&self, token: &[u8]) -> bool;
    /// Whether it can be taken apart. Proves nothing.
    fn parses(&self, token: &[u8]) -> bool;
}

/// A lock as `doorstep` has it. Its own state is given up after each token.
pub struct Doorstep {
    key: IssuerKey,
    signer: Signer,
    own: Option<PassKey>,
    reader: Reader,
    belief: Belief,
    state: State<32>,
}

impl std::fmt::Debug for Doorstep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Doorstep(..)")
    }
}

impl Doorstep {
    /// One whose passes are signed, at a lock that believes in this time.
    #[must_use]
    pub fn signed(seed: [u8; 32], now: u64) -> Self {
        let key = IssuerKey::from_seed(&Secret::from_bytes(seed));
        let signer = Signer::Ed25519(key.public());
        let clock =
            Clock { oscillator: Oscillator::Crystal, after_power_loss: AfterPowerLoss::NeedTime };
        let now = Timestamp::from_seconds(now);
        let keys = TrustedKeys::provisioned(&[(signer, Window::ALWAYS)]);
        let name = Audience::parse(DOOR).expect("a name");
        let root = RootKey::from_secret(Secret::from_bytes(seed));
        Self {
            key,
            signer,
            own: None,
            reader: Reader::new(name, Groups::default(), root, None),
            belief: Belief::new(clock, now),
            state: State::new(keys.expect("one key"), 0, 0, now),
        }
    }

    /// One whose passes are under a MAC.
    #[must_use]
    pub fn maced(seed: [u8; 32], now: u64) -> Self {
        let own = RootKey::from_secret(Secret::from_bytes(seed)).passes(0);
        Self { own: Some(own), ..Self::signed(seed, now) }
    }
}

/// What a lock remembers while it answers. Nothing is stored here.
struct Lock<'a>(&'a Doorstep, Belief, State<32>, Head);

impl Lock<'_> {
    fn moment(&self) -> Moment {
        Moment { belief: self.1, epoch: 0, elapsed: 0 }
    }

    fn append(&mut self, place: &Place, record: &Record) -> Receipt {
        self.1 = record.believed(self.1);
        self.2.fold(&self.1, record);
        self.3 = place.after;
        place.appended()
    }

    /// From the attempt to the grant, with every record that becomes durable on the way.
    fn answer(mut self, token: &[u8]) -> Option<()> {
        let Presented::Pass(pass) = Presented::parse(token).ok()? else { return None };
        let reader = &self.0.reader;
        let begun = reader.begin(&self.moment(), &self.2, &pass, None, self.3);
        let (attempt, tried) = begun.ok()?;
        let receipt = self.append(attempt.place(), &tried);
        let matched = attempt.counted(receipt).ok()?.compare().ok()?;
        let (learning, verified) = reader.verified(&self.moment(), &matched, self.3);
        let receipt = self.append(learning.place(), &verified);
        let learned = learning.learned(receipt).ok()?;
        let (spending, opened) = reader.spend(&self.moment(), &self.2, &learned, self.3).ok()?;
        let receipt = self.append(spending.place(), &opened);
        spending.granted(receipt).ok().map(drop)
    }
}

impl Peer for Doorstep {
    fn issue(&self, said: &Said<'_>) -> Vec<u8> {
        let at = Timestamp::from_seconds;
        let content = Content::Pass(Pass {
            audience: Audience::parse(said.door),
            window: Window::new(at(said.from.0), at(said.until.0)).expect("a window"),
            issued_at: Some(at(said.from.0)),
            id: PassId::from_bytes(&[1, 2, 3, 4, 5, 6, 7, 8]).expect("eight bytes"),
            holder: None,
            scope: Scope::default(),
            lasts: None,
        });
        let document = match &self.own {
            Some(key) => maced(&content, 0, key).expect("a pass"),
            None => {
                let unsigned = Unsigned::new(&content, &self.signer).expect("a pass");
                unsigned.signed(&self.key.sign(unsigned.to_be_signed()))
            }
        };
        document.as_ref().to_vec()
    }

    fn opens(&self, token: &[u8]) -> bool {
        Lock(self, self.belief, self.state, Head::EMPTY).answer(token).is_some()
    }

    fn parses(&self, token: &[u8]) -> bool {
        Presented::parse(token).is_ok()
    }
}

/// `jsonwebtoken`, with EdDSA or HS256.
#[derive(Debug)]
pub struct Jwt {
    header: Header,
    signing: EncodingKey,
    verifying: DecodingKey,
    rules: Validation,
}

#[derive(Deserialize, Serialize)]
struct JwtClaims<'a> {
    aud: &'a str,
    exp: u64,
    nbf: u64,
    iat: u64,
    jti: &'a str,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read, as a lock would, and not looked at")]
struct JwtRead {
    aud: String,
    exp: u64,
    nbf: u64,
    iat: u64,
    jti: String,
}

impl Jwt {
    fn new(algorithm: Algorithm, signing: EncodingKey, verifying: DecodingKey) -> Self {
        let mut rules = Validation::new(algorithm);
        rules.set_audience(&[DOOR]);
        rules.set_required_spec_claims(&["aud", "exp", "nbf"]);
        rules.validate_nbf = true;
        Self { header: Header::new(algorithm), signing, verifying, rules }
    }

    /// Signed tokens.
    #[must_use]
    pub fn signed(seed: [u8; 32]) -> Self {
        // A private key in PKCS #8 (RFC 8410).
        let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        der.extend(seed);
        let public = IssuerKey::from_seed(&Secret::from_bytes(seed)).public().to_bytes();
        let signing = EncodingKey::from_ed_der(&der);
        Self::new(Algorithm::EdDSA, signing, DecodingKey::from_ed_der(&public))
    }

    /// Tokens under a MAC.
    #[must_use]
    pub fn maced(seed: [u8; 32]) -> Self {
        let (signing, verifying) =
            (EncodingKey::from_secret(&seed), DecodingKey::from_secret(&seed));
        Self::new(Algorithm::HS256, signing, verifying)
    }
}

impl Peer for Jwt {
    fn issue(&self, said: &Said<'_>) -> Vec<u8> {
        let Said { door: aud, from: (nbf, _), until: (exp, _) } = *said;
        let claims = JwtClaims { aud, exp, nbf, iat: nbf, jti: "0102030405060708" };
        jsonwebtoken::encode(&self.header, &claims, &self.signing).expect("a token").into_bytes()
    }

    fn opens(&self, token: &[u8]) -> bool {
        jsonwebtoken::decode::<JwtRead>(token, &self.verifying, &self.rules).is_ok()
    }

    fn parses(&self, token: &[u8]) -> bool {
        jsonwebtoken::dangerous::insecure_decode::<JwtRead>(token).is_ok()
    }
}

/// `pasetors`: PASETO v4.public.
#[derive(Debug)]
pub struct Paseto {
    signing: AsymmetricSecretKey<V4>,
    verifying: AsymmetricPublicKey<V4>,
    rules: ClaimsValidationRules,
}

impl Paseto {
    /// Signed tokens.
    #[must_use]
    pub fn signed(seed: [u8; 32]) -> Self {
        let public = IssuerKey::from_seed(&Secret::from_bytes(seed)).public().to_bytes();
        let mut rules = ClaimsValidationRules::new();
        rules.validate_audience_with(DOOR);
        Self {
            signing: AsymmetricSecretKey::from(&[seed, public].concat()).expect("a key"),
            verifying: AsymmetricPublicKey::from(&public).expect("a key"),
            rules,
        }
    }
}

impl Peer for Paseto {
    fn issue(&self, said: &Said<'_>) -> Vec<u8> {
        let mut claims = Claims::new().expect("claims");
        claims.audience(said.door).expect("text");
        claims.not_before(said.from.1).expect("a time");
        claims.issued_at(said.from.1).expect("a time");
        claims.expiration(said.until.1).expect("a time");
        claims.token_identifier("0102030405060708").expect("text");
        pasetors::public::sign(&self.signing, &claims, None, None).expect("a token").into_bytes()
    }

    fn opens(&self, token: &[u8]) -> bool {
        let Ok(token) = from_utf8(token) else { return false };
        let Ok(token) = UntrustedToken::<Public, V4>::try_from(token) else { return false };
        pasetors::public::verify(&self.verifying, &token, &self.rules, None, None).is_ok()
    }

    fn parses(&self, token: &[u8]) -> bool {
        from_utf8(token).is_ok_and(|token| UntrustedToken::<Public, V4>::try_from(token).is_ok())
    }
}

/// `biscuit-auth`: facts, a check of the time, and a policy of the door.
#[derive(Debug)]
pub struct BiscuitAuth {
    keys: KeyPair,
    limits: AuthorizerLimits,
}

impl BiscuitAuth {
    /// Signed tokens.
    #[must_use]
    pub fn signed(seed: [u8; 32]) -> Self {
        let key = PrivateKey::from_bytes(&seed, builder::Algorithm::Ed25519).expect("a key");
        // Its verdict depends on how fast the machine is; here it has all the time it wants.
        let limits = AuthorizerLimits { max_time: Duration::from_secs(60), ..Default::default() };
        Self { keys: KeyPair::from(&key), limits }
    }

    fn authorize(&self, token: &[u8]) -> Result<usize, biscuit_auth::error::Token> {
        let token = Biscuit::from(token, self.keys.public())?;
        let now = SystemTime::now();
        let rules = authorizer!("time({now}); allow if door({DOOR});");
        rules.set_limits(self.limits.clone()).build(&token)?.authorize()
    }
}

impl Peer for BiscuitAuth {
    fn issue(&self, said: &Said<'_>) -> Vec<u8> {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let (door, from, until) = (said.door, at(said.from.0), at(said.until.0));
        let id = [1_u8, 2, 3, 4, 5, 6, 7, 8].to_vec();
        let token = biscuit!(
            "door({door}); id({id}); issued({from}); check if time($now), $now >= {from}, $now < {until};"
        );
        token.build(&self.keys).expect("a token").to_vec().expect("bytes")
    }

    fn opens(&self, token: &[u8]) -> bool {
        self.authorize(token).is_ok()
    }

    fn parses(&self, token: &[u8]) -> bool {
        UnverifiedBiscuit::from(token).is_ok()
    }
}
