//! How a driver that is made for clusters is kept to one node.
//!
//! It asks a node for its peers and spreads what it is asked over all of them, at the addresses that they advertise. Here every answer must be
//! of this very node, and the advertised address may not be reachable from here (containers, NAT). So whichever host the driver knows, it is
//! led to the one address ([`ThisNode`]), and one host is enough for it ([`OneHost`]).

use std::net::SocketAddr;
use std::sync::Mutex;

use async_trait::async_trait;
use scylla::client::session::Session;
use scylla::cluster::metadata::Peer;
use scylla::errors::TranslationError;
use scylla::policies::address_translator::{AddressTranslator, UntranslatedPeer};
use scylla::policies::host_filter::HostFilter;
use scylla::value::CqlValue;

use super::refused;

/// Leads the driver to the node, whatever address it advertises.
pub(super) struct ThisNode(pub(super) SocketAddr);

#[async_trait]
impl AddressTranslator for ThisNode {
    async fn translate_address(&self, _advertised: &UntranslatedPeer) -> Result<SocketAddr, TranslationError> {
        Ok(self.0)
    }
}

/// Lets the driver use one host and no other.
///
/// At first that is whichever it learns of first, since all lead to the node; afterwards the node itself ([`OneHost::settle`]), because
/// another one may leave the cluster, and then the driver had nobody to ask.
#[derive(Default)]
pub(super) struct OneHost(Mutex<Option<u128>>);

impl OneHost {
    /// Keeps to the node that answers.
    ///
    /// # Errors
    /// What it says, when it does not tell its id.
    pub(super) async fn settle(&self, session: &Session) -> Result<(), String> {
        let answer = session.query_unpaged("SELECT host_id FROM system.local WHERE key = 'local'", &[]).await;
        let rows = answer.map_err(|cause| refused::running(&cause))?.into_rows_result().map_err(unexpected)?;
        let (id,) = rows.single_row::<(CqlValue,)>().map_err(unexpected)?;
        let id = id.as_uuid().ok_or_else(|| unexpected("it is no UUID"))?.as_u128();
        if self.keep_to(id) {
            return Ok(());
        }
        session.refresh_metadata().await.map_err(|cause| format!("it does not tell again of its peers: {cause}"))
    }

    /// Keeps to this host from now on; whether it has done so before.
    fn keep_to(&self, id: u128) -> bool {
        self.kept().replace(id) == Some(id)
    }

    /// Whether the driver may use a host. One without tokens, which is only just joining, it would never choose.
    fn takes(&self, id: u128, has_tokens: bool) -> bool {
        match &mut *self.kept() {
            Some(kept) => *kept == id,
            none => {
                *none = has_tokens.then_some(id);
                has_tokens
            }
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<u128>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl HostFilter for OneHost {
    fn accept(&self, peer: &Peer) -> bool {
        self.takes(peer.host_id.as_u128(), !peer.tokens.is_empty())
    }
}

fn unexpected(cause: impl std::fmt::Display) -> String {
    format!("it does not tell its id as expected: {cause}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: u128 = 1;
    const OTHER: u128 = 2;

    #[test]
    fn a_host_that_is_only_just_joining_is_not_kept_to() {
        let host = OneHost::default();
        assert_eq!([host.takes(ONE, false), host.takes(OTHER, true), host.takes(ONE, true)], [false, true, false]);
    }

    #[test]
    fn the_node_itself_takes_the_place_of_the_host_that_was_first() {
        let host = OneHost::default();
        assert!(host.takes(OTHER, true) && !host.takes(ONE, true));
        assert!(!host.keep_to(ONE));
        assert!(host.takes(ONE, true) && !host.takes(OTHER, true));
        assert!(host.keep_to(ONE));
    }
}
