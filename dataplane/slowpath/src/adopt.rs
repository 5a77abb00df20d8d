//! Taking over what an earlier process left in the kernel.

use crate::clock::Now;
use crate::connections::Tracked;
use crate::engine::{Engine, Work};
use crate::kernel::{Kernel, KernelError};
use gp_abi::{ConnectionKey, ConnectionValue, FlowKey, FlowValue};

impl<K: Kernel> Engine<K> {
    /// Makes the flows and connections in the kernel this engine's own, and removes those of ENIs that are no longer
    /// here. To be called once, after the world has been applied and the ports were added, and before upcalls are
    /// taken. Packets of live connections notice nothing. Returns how many flows and connections were taken over.
    ///
    /// # Errors
    /// The kernel's tables can't be read.
    pub fn adopt(&self, now: Now) -> Result<(usize, usize), KernelError> {
        // From here on all that begins comes up to us.
        self.work(now, |work| work.forget_foreign_pairs())?;
        let mut connections = Vec::new();
        self.kernel.scan_connections(&mut |key, value| connections.push((*key, *value)))?;
        let mut flows = Vec::new();
        self.kernel.scan_flows(&mut |key, value| flows.push((*key, *value)))?;
        let mut numbers = Vec::new();
        self.kernel.scan_enis(&mut |number| numbers.push(number))?;
        self.work(now, |work| {
            work.adopt_connections(&connections);
            flows.iter().for_each(|(key, value)| work.adopt_opened(key, value));
            work.adopt_flows(&flows);
            for number in numbers {
                if work.state.ports.at(number).is_none()
                    && let Err(error) = work.kernel.remove_eni(number)
                {
                    work.failed("forget an ENI", &error);
                }
            }
            Ok((work.state.flows.len(), work.state.connections.len()))
        })
    }
}

impl<K: Kernel> Work<'_, K> {
    fn adopt_connections(&mut self, connections: &[(ConnectionKey, ConnectionValue)]) {
        for (key, value) in connections {
            match Tracked::from_record(key, value) {
                Some((tracker, tracked)) if self.is_there(tracker) => {
                    self.state.connections.insert(tracker, tracked);
                }
                _ => {
                    if let Err(error) = self.kernel.remove_connection(key) {
                        self.failed("remove a connection", &error);
                    }
                }
            }
        }
    }

    /// Each flow is traced, since the old process may have died between a change of the world and the end of its work; and
    /// tells the connections on its way what it has seen.
    fn adopt_flows(&mut self, flows: &[(FlowKey, FlowValue)]) {
        for (key, value) in flows {
            if let Some((path, _)) = self.decide_again(key) {
                self.index(key, value, &path);
                // What gateways have counted is gone with the old process: they start from here.
                self.state.flows.news(key, value);
            }
            self.note(key, value, false);
            self.retrace(key);
        }
    }
}
