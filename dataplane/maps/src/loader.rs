//! Loading the object, and taking over the maps that an earlier process pinned.

use crate::adjacencies::{ADJACENCIES, Adjacencies};
use crate::allowances::Allowances;
use crate::buckets::Buckets;
use crate::connections::Connections;
use crate::counters::DropCounters;
use crate::enis::EniStates;
use crate::error::{LoadError, MapError};
use crate::flows::Flows;
use crate::grants::Grants;
use crate::opened::OpenedRing;
use crate::pairs::Pairs;
use crate::settings::Settings;
use crate::table::Table;
use aya::maps::{Map, MapData, MapInfo, MapType};
use aya::programs::{SchedClassifier, SocketFilter};
use aya::{Ebpf, EbpfLoader};
use bytemuck::Pod;
use gp_abi::{
    ABI_VERSION, Adjacency, AllowanceKey, AllowanceValue, BUCKETS_PER_ALLOWANCE, Bucket, Config, ConnectionKey,
    ConnectionValue, DROP_COUNTERS, EniState, FlowKey, FlowKey4, PackedFlow, PackedPair, PairKey,
};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::{fs, io};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/from_eni.bpf.o"));
const PROGRAM: &str = "gp_from_eni";
const TO_QUEUE: &str = "gp_to_queue";

const FLOWS: &str = "gp_flows";
const FLOWS6: &str = "gp_flows6";
const ENIS: &str = "gp_enis";
const DROPS: &str = "gp_drops";
const SETTINGS: &str = "gp_config";
const CONNECTIONS: &str = "gp_conns";
const BUCKETS: &str = "gp_buckets";
const ALLOWANCES: &str = "gp_allowances";
const PAIRS: &str = "gp_pairs";
const GRANTS: &str = "gp_grants";
const OPENED: &str = "gp_opened";

/// Room for some 32,000 connections that user space has not heard of yet.
const OPENED_BYTES: u32 = 1 << 20;

/// How much the tables may hold. Memory is taken as they fill, apart from 16 bytes for each entry of a hash table, 32 for
/// each adjacency, 8 for each ENI, 256 for each allowance and a mebibyte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Of IPv4, and as many of IPv6.
    pub flows: u32,
    /// Different things that become of flows: mostly one for each ENI that receives from another subnet, and one for each
    /// two ENIs that talk to each other within theirs.
    pub adjacencies: u32,
    pub connections: u32,
    pub enis: u32,
    /// Network cards of instances.
    pub allowances: u32,
    pub pairs: u32,
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            flows: 1 << 20,
            adjacencies: (1 << 17) - 1,
            connections: 1 << 20,
            enis: 1 << 16,
            allowances: (1 << 13) - 1,
            pairs: 1 << 16,
        }
    }
}

/// The loaded program and its maps. Dropping it changes nothing for packets: what is attached stays attached.
#[derive(Debug)]
pub struct Fastpath {
    object: Ebpf,
    flows: Flows,
    enis: EniStates,
    drops: DropCounters,
    settings: Settings,
    connections: Connections,
    buckets: Buckets,
    allowances: Allowances,
    pairs: Pairs,
    grants: Grants,
    opened: OpenedRing,
}

impl Fastpath {
    /// Loads the program. Maps pinned under `pin_dir` (a folder of a BPF file system; made if missing) are taken over
    /// where their version and sizes are ours, else replaced. Without `pin_dir` the maps live as long as this value and
    /// what is attached.
    ///
    /// # Errors
    /// `pin_dir` is elsewhere than on a BPF file system; or the kernel refuses, mostly for want of rights.
    pub fn load(pin_dir: Option<&Path>, capacity: Capacity) -> Result<Self, LoadError> {
        let shapes = shapes(capacity);
        let mut loader = EbpfLoader::new();
        // The program reads no kernel structs; parsing the kernel's types would cost 30 ms.
        loader.btf(None);
        for shape in &shapes {
            loader.map_max_entries(shape.name, shape.max_entries);
            if let Some(dir) = pin_dir {
                loader.map_pin_path(shape.name, dir.join(shape.name));
            }
        }
        if let Some(dir) = pin_dir {
            prepare_pin_dir(dir)?;
            remove_stale_pins(dir, &shapes)?;
        }
        let object = loader.load(OBJECT).map_err(|error| LoadError::Object(Box::new(error)))?;
        Self::from_object(object)
    }

    fn from_object(mut object: Ebpf) -> Result<Self, LoadError> {
        let classifier: &mut SchedClassifier = object
            .program_mut(PROGRAM)
            .and_then(|program| program.try_into().ok())
            .ok_or(LoadError::Incomplete { part: "program gp_from_eni" })?;
        classifier.load().map_err(|error| LoadError::Program(Box::new(error)))?;
        let to_queue: &mut SocketFilter = object
            .program_mut(TO_QUEUE)
            .and_then(|program| program.try_into().ok())
            .ok_or(LoadError::Incomplete { part: "program gp_to_queue" })?;
        to_queue.load().map_err(|error| LoadError::Program(Box::new(error)))?;
        let possible_cpus = aya::util::nr_cpus().map_err(|(_, source)| MapError::Call {
            map: DROPS,
            operation: "size the values of",
            source,
        })?;
        let drops = owned_fd(&mut object, DROPS)?;
        let buckets: Table<u32, Bucket> = table(&mut object, BUCKETS)?;
        let grants: Table<u32, u64> = table(&mut object, GRANTS)?;
        let adjacencies: Table<u32, Adjacency> = table(&mut object, ADJACENCIES)?;
        let adjacencies = Adjacencies::map(adjacencies.fd(), adjacencies.max_entries()?)?;
        let pairs = Pairs { table: table(&mut object, PAIRS)?, adjacencies: adjacencies.clone() };
        let fastpath = Self {
            flows: Flows {
                ipv4: table(&mut object, FLOWS)?,
                ipv6: table(&mut object, FLOWS6)?,
                pairs: pairs.table.clone(),
                adjacencies,
            },
            enis: EniStates(table(&mut object, ENIS)?),
            // SAFETY: the map's shape is the object's or was compared by `remove_stale_pins`; the kernel's own count.
            drops: unsafe { DropCounters::new(drops, possible_cpus) },
            settings: Settings(table(&mut object, SETTINGS)?),
            connections: Connections(table(&mut object, CONNECTIONS)?),
            buckets: Buckets::map(buckets.fd(), buckets.max_entries()?)?,
            allowances: Allowances(table(&mut object, ALLOWANCES)?),
            pairs,
            grants: Grants::map(grants.fd(), grants.max_entries()?)?,
            opened: OpenedRing::map(owned_fd(&mut object, OPENED)?, OPENED_BYTES as usize)?,
            object,
        };
        let upcall_ifindex = fastpath.settings.get()?.map_or(0, |config| config.upcall_ifindex);
        fastpath.settings.set_upcall_ifindex(upcall_ifindex)?;
        Ok(fastpath)
    }

    pub fn flows(&self) -> &Flows {
        &self.flows
    }
    pub fn enis(&self) -> &EniStates {
        &self.enis
    }
    pub fn drops(&self) -> &DropCounters {
        &self.drops
    }
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
    pub fn connections(&self) -> &Connections {
        &self.connections
    }
    pub fn buckets(&self) -> &Buckets {
        &self.buckets
    }
    pub fn allowances(&self) -> &Allowances {
        &self.allowances
    }
    pub fn pairs(&self) -> &Pairs {
        &self.pairs
    }
    pub fn grants(&self) -> &Grants {
        &self.grants
    }
    pub fn opened(&self) -> &OpenedRing {
        &self.opened
    }

    pub(crate) fn program(&mut self) -> &mut SchedClassifier {
        self.object
            .program_mut(PROGRAM)
            .and_then(|program| program.try_into().ok())
            .expect("`from_object` found the program")
    }

    /// The program that says in which queue of its TAP an upcall waits.
    pub fn queue_program_fd(&self) -> BorrowedFd<'_> {
        let program: Option<&SocketFilter> = self.object.program(TO_QUEUE).and_then(|program| program.try_into().ok());
        let program = program.expect("`from_object` found the program");
        program.fd().expect("`from_object` loaded the program").as_fd()
    }

    /// The program itself, for tools that run it on frames of their own.
    pub fn program_fd(&mut self) -> BorrowedFd<'_> {
        self.program().fd().expect("`from_object` loaded the program").as_fd()
    }
}

/// What a map must be like to be ours.
struct Shape {
    name: &'static str,
    map_type: MapType,
    key_bytes: usize,
    value_bytes: usize,
    max_entries: u32,
}

impl Shape {
    fn of<K, V>(name: &'static str, map_type: MapType, max_entries: u32) -> Self {
        Self { name, map_type, key_bytes: size_of::<K>(), value_bytes: size_of::<V>(), max_entries }
    }

    fn fits(&self, info: &MapInfo) -> bool {
        info.map_type().is_ok_and(|map_type| map_type == self.map_type)
            && info.key_size() as usize == self.key_bytes
            && info.value_size() as usize == self.value_bytes
            && info.max_entries() == self.max_entries
    }
}

fn shapes(capacity: Capacity) -> [Shape; 12] {
    // The first slot is none.
    let buckets = (capacity.allowances + 1) * BUCKETS_PER_ALLOWANCE;
    [
        Shape::of::<FlowKey4, PackedFlow>(FLOWS, MapType::Hash, capacity.flows),
        Shape::of::<FlowKey, PackedFlow>(FLOWS6, MapType::Hash, capacity.flows),
        // The first is none.
        Shape::of::<u32, Adjacency>(ADJACENCIES, MapType::Array, capacity.adjacencies + 1),
        Shape::of::<u32, EniState>(ENIS, MapType::Hash, capacity.enis),
        Shape::of::<u32, u64>(DROPS, MapType::PerCpuArray, DROP_COUNTERS),
        Shape::of::<u32, Config>(SETTINGS, MapType::Array, 1),
        Shape::of::<ConnectionKey, ConnectionValue>(CONNECTIONS, MapType::Hash, capacity.connections),
        Shape::of::<u32, Bucket>(BUCKETS, MapType::Array, buckets),
        Shape::of::<AllowanceKey, AllowanceValue>(ALLOWANCES, MapType::Hash, capacity.allowances),
        Shape::of::<PairKey, PackedPair>(PAIRS, MapType::Hash, capacity.pairs),
        // A cell for each ENI; the first is none.
        Shape::of::<u32, u64>(GRANTS, MapType::Array, capacity.enis + 1),
        Shape::of::<(), ()>(OPENED, MapType::RingBuf, OPENED_BYTES),
    ]
}

fn prepare_pin_dir(dir: &Path) -> Result<(), LoadError> {
    let failed = |source| LoadError::PinDir { dir: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(failed)?;
    let path = CString::new(dir.as_os_str().as_bytes()).map_err(|error| failed(error.into()))?;
    let mut stat = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the path is a C string and the buffer is a statfs.
    if unsafe { libc::statfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return Err(failed(io::Error::last_os_error()));
    }
    // SAFETY: statfs succeeded and so filled it.
    let stat = unsafe { stat.assume_init() };
    if stat.f_type == libc::BPF_FS_MAGIC as libc::__fsword_t {
        Ok(())
    } else {
        Err(LoadError::NotBpffs { dir: dir.to_owned() })
    }
}

/// Unpins what this version can't use: everything if another ABI version left it, else what has another shape, or names
/// rows of an array that has. Programs that are still attached keep the unpinned maps until they are replaced themselves,
/// so packets notice nothing.
fn remove_stale_pins(dir: &Path, shapes: &[Shape]) -> Result<(), LoadError> {
    let is_ours = pinned_version(dir) == Some(ABI_VERSION);
    let fits = |shape: &Shape| is_ours && MapInfo::from_pin(dir.join(shape.name)).is_ok_and(|info| shape.fits(&info));
    let has_rows = shapes.iter().any(|shape| shape.name == ADJACENCIES && fits(shape));
    for shape in shapes {
        let pin = dir.join(shape.name);
        let names_rows = [FLOWS, FLOWS6, PAIRS].contains(&shape.name);
        if pin.exists() && !(fits(shape) && (has_rows || !names_rows)) {
            fs::remove_file(&pin).map_err(|source| LoadError::StalePin { pin, source })?;
        }
    }
    Ok(())
}

/// The version that the pinned settings tell. The version stands behind the upcall interface since version 1.
fn pinned_version(dir: &Path) -> Option<u32> {
    let map = MapData::from_pin(dir.join(SETTINGS)).ok()?;
    let info = map.info().ok()?;
    let fits = Shape::of::<u32, Config>(SETTINGS, MapType::Array, 1).fits(&info);
    let fd = map.fd().as_fd().try_clone_to_owned().ok()?;
    // SAFETY: key and value have just been found to have the sizes of u32 and Config.
    let settings = fits.then(|| Settings(unsafe { Table::new(SETTINGS, fd) }))?;
    settings.get().ok()?.map(|config| config.abi_version)
}

fn owned_fd(object: &mut Ebpf, name: &'static str) -> Result<OwnedFd, LoadError> {
    let data = match object.take_map(name) {
        Some(Map::HashMap(data) | Map::Array(data) | Map::PerCpuArray(data) | Map::RingBuf(data)) => data,
        _ => return Err(LoadError::Incomplete { part: name }),
    };
    let fd = data.fd().as_fd().try_clone_to_owned();
    fd.map_err(|source| LoadError::Map(MapError::Call { map: name, operation: "open", source }))
}

fn table<K: Pod, V: Pod>(object: &mut Ebpf, name: &'static str) -> Result<Table<K, V>, LoadError> {
    let fd = owned_fd(object, name)?;
    let info =
        MapData::from_fd(fd.try_clone().map_err(|source| MapError::Call { map: name, operation: "open", source })?)
            .and_then(|data| data.info());
    let sizes = info.map(|info| (info.key_size() as usize, info.value_size() as usize));
    if sizes.ok() != Some((size_of::<K>(), size_of::<V>())) {
        return Err(LoadError::Incomplete { part: name });
    }
    // SAFETY: the sizes have just been compared; the object declares hash maps and arrays for all but the counters.
    Ok(unsafe { Table::new(name, fd) })
}
