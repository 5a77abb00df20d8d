//! Changes that no request asks for: an account emptied, and what outlives its time.

use gp_model::{AccountId, Change, Record, RecordKey, Timestamp, World};

/// How long a client token is remembered.
const TOKEN_SECS: u64 = 24 * 3600;
/// How long a terminated instance, and a NAT gateway that failed or was deleted, stays visible.
const GONE_SECS: u64 = 3600;

/// The changes that take away everything an account has in the region, its record included, so that its next call is
/// its first one.
pub fn plan_reset(world: &World, account: AccountId) -> Vec<Change> {
    let own = |record: &Record| owner(record) == account;
    world.tables().records().filter(own).map(|record| Change::Delete(record.key())).collect()
}

/// The changes that take away what has outlived its time at `now`.
pub fn plan_expiry(world: &World, now: Timestamp) -> Vec<Change> {
    let tables = world.tables();
    let tokens = tables.client_tokens.values().filter(|token| token.at.plus_secs(TOKEN_SECS) <= now);
    let gone = |at: Option<Timestamp>| at.is_some_and(|at| at.plus_secs(GONE_SECS) <= now);
    let instances = tables.instances.values().filter(|instance| gone(instance.terminated_at));
    let gateways = tables.nat_gateways.values().filter(|gateway| gone(gateway.deleted_at));
    let gateways = gateways.map(|gateway| Change::Delete(RecordKey::NatGateway(gateway.id)));
    let tokens = tokens.map(|token| Change::Delete(RecordKey::ClientToken(token.key.clone())));
    let instances = instances.map(|instance| Change::Delete(RecordKey::Instance(instance.id)));
    let transfers = tables.address_transfers.values().filter(|transfer| transfer.gone_at() <= now);
    let transfers = transfers.map(|transfer| Change::Delete(RecordKey::AddressTransfer(transfer.id)));
    tokens.chain(instances).chain(gateways).chain(transfers).collect()
}

fn owner(record: &Record) -> AccountId {
    match record {
        Record::Account(account) => account.id,
        Record::ClientToken(token) => token.key.account,
        Record::Vpc(vpc) => vpc.owner,
        Record::Subnet(subnet) => subnet.owner,
        Record::RouteTable(table) => table.owner,
        Record::NetworkAcl(acl) => acl.owner,
        Record::InternetGateway(gateway) => gateway.owner,
        Record::DhcpOptions(options) => options.owner,
        Record::SecurityGroup(group) => group.owner,
        Record::Eni(eni) => eni.owner,
        Record::Instance(instance) => instance.owner,
        Record::KeyPair(key_pair) => key_pair.owner,
        Record::Address(address) => address.owner,
        Record::NatGateway(gateway) => gateway.owner,
        Record::EgressOnlyInternetGateway(gateway) => gateway.owner,
        Record::PrefixList(list) => list.owner,
        Record::SubnetCidrReservation(reservation) => reservation.owner,
        Record::TrunkAssociation(association) => association.owner,
        Record::AddressTransfer(transfer) => transfer.owner,
    }
}
