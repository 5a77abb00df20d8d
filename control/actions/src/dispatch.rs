//! The one list of actions: each goes to the function of its resource.

use crate::{Context, caller_identity, network_acl, security_group, subnet, vpc};
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

        // Security groups
        Action::CreateSecurityGroup(r) => security_group::create(ctx, r).map(Reply::CreateSecurityGroup),
        Action::DeleteSecurityGroup(r) => security_group::delete(ctx, r).map(Reply::DeleteSecurityGroup),
        Action::DescribeSecurityGroups(r) => security_group::describe(ctx, r).map(Reply::DescribeSecurityGroups),
        Action::DescribeSecurityGroupRules(r) => {
            security_group::describe_rules(ctx, r).map(Reply::DescribeSecurityGroupRules)
        }
        Action::AuthorizeSecurityGroupIngress(r) => {
            security_group::authorize_ingress(ctx, r).map(Reply::AuthorizeSecurityGroupIngress)
        }
        Action::AuthorizeSecurityGroupEgress(r) => {
            security_group::authorize_egress(ctx, r).map(Reply::AuthorizeSecurityGroupEgress)
        }
        Action::RevokeSecurityGroupIngress(r) => {
            security_group::revoke_ingress(ctx, r).map(Reply::RevokeSecurityGroupIngress)
        }
        Action::RevokeSecurityGroupEgress(r) => {
            security_group::revoke_egress(ctx, r).map(Reply::RevokeSecurityGroupEgress)
        }
        Action::ModifySecurityGroupRules(r) => {
            security_group::modify_rules(ctx, r).map(Reply::ModifySecurityGroupRules)
        }
        Action::UpdateSecurityGroupRuleDescriptionsIngress(r) => {
            security_group::update_descriptions_ingress(ctx, r).map(Reply::UpdateSecurityGroupRuleDescriptionsIngress)
        }
        Action::UpdateSecurityGroupRuleDescriptionsEgress(r) => {
            security_group::update_descriptions_egress(ctx, r).map(Reply::UpdateSecurityGroupRuleDescriptionsEgress)
        }
        Action::DescribeSecurityGroupReferences(r) => {
            security_group::describe_references(ctx, r).map(Reply::DescribeSecurityGroupReferences)
        }
        Action::DescribeStaleSecurityGroups(r) => {
            security_group::describe_stale(ctx, r).map(Reply::DescribeStaleSecurityGroups)
        }
        Action::GetSecurityGroupsForVpc(r) => security_group::for_vpc(ctx, r).map(Reply::GetSecurityGroupsForVpc),

        // Network ACLs
        Action::DescribeNetworkAcls(r) => network_acl::describe(ctx, r).map(Reply::DescribeNetworkAcls),

        // The caller
        Action::GetCallerIdentity(_) => caller_identity::get(ctx).map(Reply::GetCallerIdentity),
        other => Err(ApiError::unsupported(format!("The action {} is not implemented by Groundplane.", other.name()))),
    }
}
