//! The one list of actions: each goes to the function of its resource.

use crate::{Context, caller_identity, network_acl, subnet, vpc};
use gp_ec2::{Action, ApiError, Reply};

/// Carries out one action on the context's copy of the world.
///
/// # Errors
/// The action's refusal.
pub(crate) fn run(ctx: &mut Context<'_>, action: &Action) -> Result<Reply, ApiError> {
    /// An action that answers with nothing but success.
    fn done(result: Result<(), ApiError>, reply: Reply) -> Result<Reply, ApiError> {
        result.map(|()| reply)
    }
    match action {
        // VPCs
        Action::CreateVpc(r) => vpc::create(ctx, r).map(Reply::CreateVpc),
        Action::CreateDefaultVpc(_) => vpc::create_default(ctx).map(Reply::CreateDefaultVpc),
        Action::DeleteVpc(r) => done(vpc::delete(ctx, r), Reply::DeleteVpc),
        Action::DescribeVpcs(r) => vpc::describe(ctx, r).map(Reply::DescribeVpcs),
        Action::DescribeVpcAttribute(r) => vpc::describe_attribute(ctx, r).map(Reply::DescribeVpcAttribute),
        Action::ModifyVpcAttribute(r) => done(vpc::modify_attribute(ctx, r), Reply::ModifyVpcAttribute),
        Action::ModifyVpcTenancy(r) => vpc::modify_tenancy(ctx, r).map(Reply::ModifyVpcTenancy),
        Action::AssociateVpcCidrBlock(r) => vpc::associate_cidr(ctx, r).map(Reply::AssociateVpcCidrBlock),
        Action::DisassociateVpcCidrBlock(r) => vpc::disassociate_cidr(ctx, r).map(Reply::DisassociateVpcCidrBlock),

        // Subnets
        Action::CreateSubnet(r) => subnet::create(ctx, r).map(Reply::CreateSubnet),
        Action::CreateDefaultSubnet(r) => subnet::create_default(ctx, r).map(Reply::CreateDefaultSubnet),
        Action::DeleteSubnet(r) => done(subnet::delete(ctx, r), Reply::DeleteSubnet),
        Action::DescribeSubnets(r) => subnet::describe(ctx, r).map(Reply::DescribeSubnets),
        Action::ModifySubnetAttribute(r) => done(subnet::modify_attribute(ctx, r), Reply::ModifySubnetAttribute),
        Action::AssociateSubnetCidrBlock(r) => subnet::associate_cidr(ctx, r).map(Reply::AssociateSubnetCidrBlock),
        Action::DisassociateSubnetCidrBlock(r) => {
            subnet::disassociate_cidr(ctx, r).map(Reply::DisassociateSubnetCidrBlock)
        }

        // Network ACLs
        Action::DescribeNetworkAcls(r) => network_acl::describe(ctx, r).map(Reply::DescribeNetworkAcls),

        // The caller
        Action::GetCallerIdentity(_) => caller_identity::get(ctx).map(Reply::GetCallerIdentity),
        other => Err(ApiError::unsupported(format!("The action {} is not implemented by Groundplane.", other.name()))),
    }
}
