//! Records: entities as the store keeps them, and the changes that a transaction is made of.

use crate::entity::*;
use crate::*;
use imbl::ordmap::DiffItem;
use serde::{Deserialize, Serialize};

macro_rules! records {
    ($($kind:ident($key:ty) = $table:ident;)*) => {
        /// One stored entity.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Record { $($kind($kind),)* }

        /// Names one stored entity within a region.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum RecordKey { $($kind($key),)* }

        impl Record {
            pub fn key(&self) -> RecordKey {
                match self { $(Record::$kind(entity) => RecordKey::$kind(entity.record_id()),)* }
            }
        }

        $(impl From<$kind> for Record {
            fn from(entity: $kind) -> Self { Record::$kind(entity) }
        })*

        /// The tables of a world, one per kind.
        #[derive(Debug, Clone, Default)]
        pub struct Tables { $(pub $table: Table<$key, $kind>,)* }

        impl Tables {
            /// The record with that key, if there is one.
            pub fn record(&self, key: &RecordKey) -> Option<Record> {
                match key {
                    $(RecordKey::$kind(id) => self.$table.get(id).map(|entity| Record::$kind((**entity).clone())),)*
                }
            }

            /// Puts a record in the place of what is there.
            pub(crate) fn put(&mut self, record: Record) {
                match record {
                    $(Record::$kind(entity) => {
                        self.$table.insert(entity.record_id(), std::sync::Arc::new(entity));
                    })*
                }
            }

            pub(crate) fn remove(&mut self, key: &RecordKey) -> Option<Record> {
                match key {
                    $(RecordKey::$kind(id) => self.$table.remove(id).map(|old| Record::$kind(unshare(old))),)*
                }
            }

            /// Keys of the records that are not the same in both, in order.
            pub(crate) fn differing(&self, other: &Tables) -> std::collections::BTreeSet<RecordKey> {
                std::iter::empty()
                    $(.chain(self.$table.diff(&other.$table).map(|item| RecordKey::$kind(differing_key(item).clone()))))*
                    .collect()
            }

            /// Is there no record?
            pub fn is_empty(&self) -> bool {
                true $(&& self.$table.is_empty())*
            }

            /// Every record, kind by kind, in id order.
            pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
                std::iter::empty()
                    $(.chain(self.$table.values().map(|entity| Record::$kind((**entity).clone()))))*
            }
        }
    };
}

fn differing_key<'a, K, V>(item: DiffItem<'a, 'a, K, V>) -> &'a K {
    match item {
        DiffItem::Add(key, _) | DiffItem::Update { new: (key, _), .. } | DiffItem::Remove(key, _) => key,
    }
}

fn unshare<T: Clone>(entity: std::sync::Arc<T>) -> T {
    std::sync::Arc::unwrap_or_clone(entity)
}

/// A persistent map of entities: a clone costs nothing, a change costs its path.
pub type Table<K, V> = imbl::OrdMap<K, std::sync::Arc<V>>;

records! {
    Account(AccountId) = accounts;
    ClientToken(ClientTokenKey) = client_tokens;
    Vpc(VpcId) = vpcs;
    Subnet(SubnetId) = subnets;
    RouteTable(RouteTableId) = route_tables;
    NetworkAcl(NetworkAclId) = network_acls;
    InternetGateway(InternetGatewayId) = internet_gateways;
    DhcpOptions(DhcpOptionsId) = dhcp_options;
    SecurityGroup(SecurityGroupId) = security_groups;
    Eni(EniId) = enis;
    Instance(InstanceId) = instances;
    KeyPair(KeyPairId) = key_pairs;
    Address(AllocationId) = addresses;
    NatGateway(NatGatewayId) = nat_gateways;
    EgressOnlyInternetGateway(EgressOnlyInternetGatewayId) = egress_only_internet_gateways;
    PrefixList(PrefixListId) = prefix_lists;
    SubnetCidrReservation(SubnetCidrReservationId) = subnet_cidr_reservations;
    TrunkAssociation(TrunkAssociationId) = trunk_associations;
    AddressTransfer(AllocationId) = address_transfers;
}

/// The key of an entity within its table.
trait RecordId {
    type Key;
    fn record_id(&self) -> Self::Key;
}

macro_rules! keyed_by_id {
    ($($kind:ident($key:ty),)*) => {$(
        impl RecordId for $kind {
            type Key = $key;
            fn record_id(&self) -> $key { self.id }
        }
    )*};
}

keyed_by_id! {
    Account(AccountId), Vpc(VpcId), Subnet(SubnetId), RouteTable(RouteTableId), NetworkAcl(NetworkAclId),
    InternetGateway(InternetGatewayId), DhcpOptions(DhcpOptionsId), SecurityGroup(SecurityGroupId), Eni(EniId),
    Instance(InstanceId), KeyPair(KeyPairId), Address(AllocationId), NatGateway(NatGatewayId),
    EgressOnlyInternetGateway(EgressOnlyInternetGatewayId), PrefixList(PrefixListId),
    SubnetCidrReservation(SubnetCidrReservationId), TrunkAssociation(TrunkAssociationId),
    AddressTransfer(AllocationId),
}

impl RecordId for ClientToken {
    type Key = ClientTokenKey;
    fn record_id(&self) -> ClientTokenKey {
        self.key.clone()
    }
}

/// One step of a transaction.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every change is a put; a box would cost each of them an allocation"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    Put(Record),
    Delete(RecordKey),
}

impl Change {
    pub fn key(&self) -> RecordKey {
        match self {
            Change::Put(record) => record.key(),
            Change::Delete(key) => key.clone(),
        }
    }
}

/// Changes of one region that become visible together or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    pub region: Region,
    pub changes: Vec<Change>,
}

/// Counter of committed transactions, over all regions. 0 is the empty store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);
