//! A region in memory for tests: requests as forms, answers as XML or as refusals.

use crate::{Caller, Context, Settings, plan, plan_report, plan_settled};
use gp_compile::HostReport;
use gp_ec2::{ApiError, Reply, decode_form, encode_reply};
use gp_model::{Change, Region, Timestamp, World};

/// One caller in one region.
pub(crate) struct Lab {
    pub world: World,
    pub caller: Caller,
    pub settings: Settings,
    pub now: Timestamp,
    /// While it is set, no host obeys: what waits for one stays as it is.
    pub host_is_away: bool,
    last_id: u128,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::in_region("us-east-1")
    }

    pub(crate) fn in_region(region: &str) -> Self {
        let region = Region::new(region);
        let account = "111122223333".parse().expect("12 digits");
        Self {
            world: World::new(region.clone()),
            caller: Caller { account, principal: "111122223333".to_owned(), region },
            settings: Settings::default(),
            now: Timestamp(1_795_249_577_000),
            host_is_away: false,
            last_id: 0,
        }
    }

    /// Carries out a request, `Action=DeleteVpc&VpcId=…`.
    pub(crate) fn call(&mut self, form: &str) -> Result<Reply, ApiError> {
        let request = decode_form(form.as_bytes())?;
        let last_id = &mut self.last_id;
        let mut ids = || {
            *last_id += 1;
            *last_id
        };
        let plan = plan(&self.world, &self.caller, &request, self.now, &mut ids, &self.settings)?;
        self.apply(plan.changes);
        if !self.host_is_away {
            self.settle();
        }
        Ok(plan.reply)
    }

    /// The host has obeyed: what waits for that goes on.
    pub(crate) fn settle(&mut self) {
        let passing: Vec<_> = self.world.passing_nat_gateways().collect();
        self.apply(plan_settled(&self.world, &passing, self.now));
        self.report_unused();
    }

    /// The host says that no connection uses the addresses that drain.
    fn report_unused(&mut self) {
        let region = &self.world.region;
        let unused = self.world.draining_nat_gateways().flat_map(|(_, gateway)| {
            gateway.addresses.iter().filter_map(|address| {
                let (gateway, address, drains_until) = (gateway.id, address.private_ip, address.drains_until?);
                Some(HostReport::NatAddressUnused { region: region.clone(), gateway, address, drains_until })
            })
        });
        for report in unused.collect::<Vec<_>>() {
            self.apply(plan_report(&self.world, &report, self.now));
        }
    }

    /// What a service does by itself, without a request of the user's for it.
    pub(crate) fn by_service<T>(&mut self, act: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let request = decode_form(b"Action=DescribeRegions").expect("well-formed");
        let last_id = &mut self.last_id;
        let mut ids = || {
            *last_id += 1;
            *last_id
        };
        let mut ctx = Context::new(&self.world, &self.caller, &request, self.now, &mut ids, &self.settings);
        let result = act(&mut ctx);
        let changes = ctx.into_changes();
        self.apply(changes);
        result
    }

    pub(crate) fn apply(&mut self, changes: Vec<Change>) {
        changes.into_iter().for_each(|change| self.world.apply(change));
    }

    /// The answer to a request that must succeed, as XML.
    pub(crate) fn xml(&mut self, form: &str) -> String {
        match self.call(form) {
            Ok(reply) => encode_reply(&reply, "r"),
            Err(error) => panic!("{form}\n{error}"),
        }
    }

    /// The first value of an element of the answer to a request that must succeed.
    pub(crate) fn get(&mut self, form: &str, element: &str) -> String {
        let xml = self.xml(form);
        values(&xml, element).into_iter().next().unwrap_or_else(|| panic!("{form}\nno {element} in {xml}"))
    }

    /// Every value of an element, in order.
    pub(crate) fn all(&mut self, form: &str, element: &str) -> Vec<String> {
        values(&self.xml(form), element)
    }

    /// The refusal of a request that must fail: code and message.
    pub(crate) fn refusal(&mut self, form: &str) -> String {
        match self.call(form) {
            Ok(reply) => panic!("{form}\nsucceeded: {}", encode_reply(&reply, "r")),
            Err(error) => error.to_string(),
        }
    }

    /// Checks refusals: pairs of a form and how its refusal starts.
    pub(crate) fn refuses(&mut self, cases: &[(&str, &str)]) {
        for (form, want) in cases {
            let refusal = self.refusal(form);
            assert!(refusal.starts_with(want), "{form}\n  wanted {want}\n     got {refusal}");
        }
    }
}

/// The text of every element of that name.
pub(crate) fn values(xml: &str, element: &str) -> Vec<String> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let parts = xml.split(&open).skip(1);
    parts.filter_map(|part| part.split_once(&close).map(|(value, _)| value.to_owned())).collect()
}
