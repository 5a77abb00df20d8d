//! Paths as plain text for terminals.

use super::{HopView, PathView, Remedy, ResourceView, StepView, VerdictView, WhyView};
use crate::{Component, Resource, StepAction};
use std::fmt::{self, Display, Formatter};

impl Display for WhyView {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.forward.fmt(f)?;
        if let Some(reply) = &self.reply {
            write!(f, "\nand the answer:\n\n{reply}")?;
        }
        Ok(())
    }
}

impl Display for PathView {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.packet)?;
        for hop in &self.hops {
            hop.fmt(f)?;
        }
        self.verdict.fmt(f)
    }
}

impl Display for HopView {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.component {
            Component::Eni(id) => write!(f, "  {id}")?,
            Component::Subnet(id) => write!(f, "  border of {id}")?,
            Component::Router(id) => write!(f, "  router of {id}")?,
            Component::InternetGateway(id) => write!(f, "  {id}")?,
            Component::EgressOnlyInternetGateway(id) => write!(f, "  {id}")?,
            Component::NatGateway(id) => write!(f, "  {id}")?,
            Component::Uplink => f.write_str("  the internet")?,
        }
        writeln!(f, "{}", in_brackets(self.name.as_deref()))?;
        self.steps.iter().try_for_each(|step| step.fmt(f))
    }
}

impl Display for StepView {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "    {:<19} {:<8} ", self.stage.name(), self.action.name())?;
        if let Some(resource) = &self.resource {
            write!(f, "{resource}: ")?;
        }
        writeln!(f, "{}", self.detail)
    }
}

impl Display for ResourceView {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.resource {
            Resource::Eni { id } => write!(f, "{id}")?,
            Resource::Subnet { id } => write!(f, "{id}")?,
            Resource::Vpc { id } => write!(f, "{id}")?,
            Resource::SecurityGroup { id } => write!(f, "{id}")?,
            Resource::SecurityGroupRule { id, group } => write!(f, "{id} of {group}")?,
            Resource::NetworkAcl { id, rule_number } => write!(f, "{id} rule {}", RuleNumber(rule_number))?,
            Resource::RouteTable { id } => write!(f, "{id}")?,
            Resource::InternetGateway { id } => write!(f, "{id}")?,
            Resource::EgressOnlyInternetGateway { id } => write!(f, "{id}")?,
            Resource::NatGateway { id } => write!(f, "{id}")?,
        }
        f.write_str(&in_brackets(self.name.as_deref()))?;
        self.rule.as_ref().map_or(Ok(()), |rule| write!(f, " \"{rule}\""))
    }
}

/// Final entries are shown as the console shows them.
struct RuleNumber(u32);

impl Display for RuleNumber {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 >= gp_model::LAST_RULE_IPV4 { f.write_str("*") } else { self.0.fmt(f) }
    }
}

impl Display for VerdictView {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deliver { eni, name, .. } => writeln!(f, "delivered to {eni}{}", in_brackets(name.as_deref())),
            Self::Uplink => writeln!(f, "leaves for the internet"),
            Self::LocalService { service } => writeln!(f, "answered by the VPC: {}", service.name()),
            Self::Drop { reason, description, resource, remedies, .. } => {
                write!(f, "dropped: {}", reason.name())?;
                if let Some(resource) = resource {
                    write!(f, " by {resource}")?;
                }
                writeln!(f, "\n  {description}")?;
                remedies.iter().try_for_each(|remedy| remedy.fmt(f))
            }
        }
    }
}

impl Display for Remedy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {}", self.sentence)?;
        match &self.command {
            Some(command) => writeln!(f, "    {command}"),
            None => Ok(()),
        }
    }
}

fn in_brackets(name: Option<&str>) -> String {
    name.map(|name| format!(" ({name})")).unwrap_or_default()
}

impl StepAction {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Tracked => "tracked",
            Self::Exempt => "exempt",
            Self::Forward => "forward",
            Self::Deliver => "deliver",
            Self::Drop => "drop",
        }
    }
}
