//! [`Context`]: what an action works with. A working copy of the world that takes its changes at once, so that
//! later steps of the same plan see earlier ones; the caller, the clock, new ids, and idempotency by client token.

use crate::{Caller, Ids, Settings, place};
use gp_ec2::{ApiError, Request};
use gp_model::{AccountId, Change, ClientToken, ClientTokenKey, Record, RecordKey, Region, Timestamp, World};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt::{Display, Write};

/// Longest client token, in characters.
const MAX_TOKEN: usize = 64;

/// One action's surroundings while it is planned.
pub struct Context<'a> {
    pub caller: &'a Caller,
    pub settings: &'a Settings,
    pub now: Timestamp,
    /// The action's name on the wire.
    pub action: &'static str,
    request: &'a Request,
    /// The world as it was found, until the plan changes something.
    world: Cow<'a, World>,
    changes: Vec<Change>,
    ids: &'a mut dyn Ids,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        world: &'a World,
        caller: &'a Caller,
        request: &'a Request,
        now: Timestamp,
        ids: &'a mut dyn Ids,
        settings: &'a Settings,
    ) -> Self {
        let action = request.action.name();
        Self { caller, settings, now, action, request, world: Cow::Borrowed(world), changes: Vec::new(), ids }
    }

    /// The world with this plan's changes so far.
    pub fn world(&self) -> &World {
        &self.world
    }

    pub fn account(&self) -> AccountId {
        self.caller.account
    }

    pub fn region(&self) -> &'a Region {
        &self.caller.region
    }

    /// Stores a new or changed entity.
    pub fn put(&mut self, entity: impl Into<Record>) {
        self.apply(Change::Put(entity.into()));
    }

    /// Takes an entity out of the store.
    pub fn delete(&mut self, key: RecordKey) {
        self.apply(Change::Delete(key));
    }

    /// Stores `entity` as `edit` leaves it; nothing if that is how it was.
    pub fn edit<T: Clone + PartialEq + Into<Record>>(&mut self, entity: &T, edit: impl FnOnce(&mut T)) -> T {
        let mut edited = entity.clone();
        edit(&mut edited);
        if edited != *entity {
            self.put(edited.clone());
        }
        edited
    }

    /// Takes a change that was planned from this world.
    pub(crate) fn apply(&mut self, change: Change) {
        self.world.to_mut().apply(change.clone());
        self.changes.push(change);
    }

    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    /// The changes, and the world with them; none if nothing was changed.
    pub(crate) fn into_parts(self) -> (Vec<Change>, Option<World>) {
        let world = match self.world {
            Cow::Owned(world) => Some(world),
            Cow::Borrowed(_) => None,
        };
        (self.changes, world)
    }

    /// A new id: `ctx.draw(VpcId::from_bits)`.
    pub fn draw<I>(&mut self, from_bits: fn(u128) -> I) -> I {
        from_bits(self.ids.bits())
    }

    /// New random bits.
    pub fn bits(&mut self) -> u128 {
        self.ids.bits()
    }

    /// The ARN of one of the caller's EC2 resources.
    pub fn arn(&self, kind: &str, id: impl Display) -> String {
        let region = self.region();
        format!("arn:{}:ec2:{region}:{}:{kind}/{id}", place::partition(region.as_str()), self.account())
    }

    // === Client tokens ===

    /// The ids that an earlier call with this client token created, if there was one. Ask before any check that the
    /// first call's own success would fail.
    ///
    /// # Errors
    /// `IdempotentParameterMismatch` if the earlier call had other parameters; `InvalidParameterValue` for a token
    /// that is too long.
    pub fn replayed(&self) -> Result<Option<Vec<String>>, ApiError> {
        let Some(token) = self.request.client_token.as_deref() else { return Ok(None) };
        if token.chars().count() > MAX_TOKEN || !token.is_ascii() {
            let why = "A client token has at most 64 ASCII characters.";
            return Err(ApiError::invalid_value(token, "ClientToken", why));
        }
        // A dry run asks whether the call would succeed now.
        let Some(earlier) = self.world.tables().client_tokens.get(&self.token_key(token)) else { return Ok(None) };
        if self.request.dry_run {
            return Ok(None);
        }
        if earlier.request_digest != self.digest() {
            return Err(token_mismatch());
        }
        Ok(Some(earlier.created.clone()))
    }

    /// Keeps what this call created for [`Context::replayed`]; nothing if it came without a token.
    pub fn remember<I: Display>(&mut self, created: impl IntoIterator<Item = I>) {
        let Some(token) = self.request.client_token.as_deref() else { return };
        let created = created.into_iter().map(|id| id.to_string()).collect();
        let token = ClientToken { key: self.token_key(token), request_digest: self.digest(), created, at: self.now };
        self.put(token);
    }

    fn token_key(&self, token: &str) -> ClientTokenKey {
        ClientTokenKey { account: self.account(), action: self.action.to_owned(), token: token.to_owned() }
    }

    /// The same for equal parameters and no others. Tokens live a day, so the form of `Debug` is stable enough.
    fn digest(&self) -> String {
        let digest = Sha256::digest(format!("{:?}", self.request.action));
        digest.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a String");
            hex
        })
    }
}

/// The refusal of a token whose earlier call was another one, or made what has since been deleted.
pub fn token_mismatch() -> ApiError {
    let message = "The client token that you provided is associated with a resource that is already deleted, or was \
                   used with different request parameters. Please use a different client token.";
    ApiError::client("IdempotentParameterMismatch", message)
}

/// Refuses parameters that AWS has and that nothing here would enforce, naming the first that was given.
///
/// # Errors
/// `UnsupportedOperation`.
pub fn refuse_unsupported(given: &[(&str, bool)]) -> Result<(), ApiError> {
    match given.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(ApiError::unsupported(format!("The parameter {name} is not supported by Groundplane."))),
        None => Ok(()),
    }
}
