//! By what the service knows this host as a device of an account, so that whoever guesses elsewhere
//! does not use up the attempts of logins here. It opens nothing.

use crate::error::GateError;
use crate::gate::Gate;
use crate::name::Name;
use crate::state::Entry;
use doorstep_files::seal::Place;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

impl Gate {
    /// The token for an account, if the service gave one.
    ///
    /// # Errors
    /// [`GateError::File`]; [`GateError::Sealed`].
    pub fn service_token(&mut self, name: &Name) -> Result<Option<Zeroizing<String>>, GateError> {
        let Some(sealed) = self.refresh()?.tokens.get(name).cloned() else { return Ok(None) };
        let opened = self.keys().seal.open(place(name), &sealed).map_err(|_| GateError::Sealed)?;
        let text = str::from_utf8(&opened).map_err(|_| GateError::Sealed)?;
        Ok(Some(Zeroizing::new(text.to_owned())))
    }

    /// Keeps a token that the service gave with a yes, in place of an older one.
    ///
    /// # Errors
    /// [`GateError::File`].
    pub fn keep_service_token(
        &mut self,
        name: &Name,
        token: &str,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), GateError> {
        let (mut session, keys, _) = self.parts()?;
        let sealed = keys.seal.seal(place(name), token.as_bytes(), rng);
        let sealed = sealed.map_err(|_| GateError::Sealed)?;
        session.append(&Entry::Token(name.clone(), sealed).to_bytes())?;
        Ok(())
    }
}

fn place(name: &Name) -> Place<'_> {
    Place { table: "tokens", column: "token", row: name.as_str() }
}
