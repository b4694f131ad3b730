//! The methods there are, in the order in which equals are offered.

use super::methods::{delivery, keypad, login, pass, totp_door};
use super::needs::Needs;
use super::{Details, Traits};

/// A way to prove that somebody may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    OnlineCode,
    FullCode,
    SplitCode,
    Pin,
    SignedPass,
    MacPass,
    EncryptedPass,
    TotpDoor,
    Totp,
    Hotp,
    Ocra,
}

impl Method {
    pub(crate) const ALL: [Self; 11] = [
        Self::OnlineCode,
        Self::FullCode,
        Self::SplitCode,
        Self::Pin,
        Self::SignedPass,
        Self::MacPass,
        Self::EncryptedPass,
        Self::TotpDoor,
        Self::Totp,
        Self::Hotp,
        Self::Ocra,
    ];

    /// Its stable name for programs.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::OnlineCode => "online-code",
            Self::FullCode => "ho1-full",
            Self::SplitCode => "ho1-split",
            Self::Pin => "kp1",
            Self::SignedPass => "dp1-signed",
            Self::MacPass => "dp1-mac",
            Self::EncryptedPass => "dp1-encrypted",
            Self::TotpDoor => "totp-door",
            Self::Totp => "totp",
            Self::Hotp => "hotp",
            Self::Ocra => "ocra",
        }
    }

    /// Its name for people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OnlineCode => "delivery code, checked by the server",
            Self::FullCode => "delivery code, checked whole on the device (HO1 full)",
            Self::SplitCode => "delivery code, checked in part on the device (HO1 split)",
            Self::Pin => "keypad PIN for a window (KP1)",
            Self::SignedPass => "signed pass (DP1)",
            Self::MacPass => "pass under the lock's own key (DP1 MAC)",
            Self::EncryptedPass => "encrypted pass (DP1)",
            Self::TotpDoor => "TOTP at a lock",
            Self::Totp => "authenticator with a clock (TOTP)",
            Self::Hotp => "codes by a counter (HOTP)",
            Self::Ocra => "challenge and answer (OCRA)",
        }
    }

    /// Its name in lists.
    pub(crate) const fn short(self) -> &'static str {
        match self {
            Self::OnlineCode => "online code",
            Self::FullCode => "HO1 full",
            Self::SplitCode => "HO1 split",
            Self::Pin => "KP1",
            Self::SignedPass => "DP1 signed",
            Self::MacPass => "DP1 MAC",
            Self::EncryptedPass => "DP1 encrypted",
            Self::TotpDoor => "TOTP door",
            Self::Totp => "TOTP",
            Self::Hotp => "HOTP",
            Self::Ocra => "OCRA",
        }
    }

    /// What it has under these facts.
    pub(super) fn traits(self, needs: &Needs) -> Traits {
        match self {
            Self::OnlineCode => delivery::online(needs),
            Self::FullCode => delivery::full(needs),
            Self::SplitCode => delivery::split(needs),
            Self::Pin => keypad::traits(needs),
            Self::SignedPass => pass::traits(needs, pass::Proof::Signed),
            Self::MacPass => pass::traits(needs, pass::Proof::Mac),
            Self::EncryptedPass => pass::traits(needs, pass::Proof::Encrypted),
            Self::TotpDoor => totp_door::traits(needs),
            Self::Totp => login::totp(needs),
            Self::Hotp => login::hotp(needs),
            Self::Ocra => login::ocra(needs),
        }
    }

    /// How to set it up for these needs, which it meets.
    pub(super) fn details(self, needs: &Needs) -> Details {
        match self {
            Self::OnlineCode => delivery::online_details(needs),
            Self::FullCode => delivery::full_details(needs),
            Self::SplitCode => delivery::split_details(needs),
            Self::Pin => keypad::details(needs),
            Self::SignedPass => pass::details(needs, pass::Proof::Signed),
            Self::MacPass => pass::details(needs, pass::Proof::Mac),
            Self::EncryptedPass => pass::details(needs, pass::Proof::Encrypted),
            Self::TotpDoor => totp_door::details(needs),
            Self::Totp => login::totp_details(needs),
            Self::Hotp => login::hotp_details(needs),
            Self::Ocra => login::ocra_details(needs),
        }
    }
}
