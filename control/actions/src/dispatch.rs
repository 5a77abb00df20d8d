//! The one list of actions: each goes to the function of its resource.

use crate::{
    Context, account_attributes, address, availability_zone, caller_identity, dhcp_options,
    egress_only_internet_gateway, image, instance, instance_type, internet_gateway, key_pair, nat_gateway, network_acl,
    network_interface, prefix_list, region, route, route_table, security_group, subnet, tag, trunk, volume, vpc,
};
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
        Action::CreateSubnetCidrReservation(r) => {
            subnet::create_reservation(ctx, r).map(Reply::CreateSubnetCidrReservation)
        }
        Action::DeleteSubnetCidrReservation(r) => {
            subnet::delete_reservation(ctx, r).map(Reply::DeleteSubnetCidrReservation)
        }
        Action::GetSubnetCidrReservations(r) => subnet::get_reservations(ctx, r).map(Reply::GetSubnetCidrReservations),

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

        // Route tables and routes
        Action::CreateRouteTable(r) => route_table::create(ctx, r).map(Reply::CreateRouteTable),
        Action::DeleteRouteTable(r) => done(route_table::delete(ctx, r), Reply::DeleteRouteTable),
        Action::DescribeRouteTables(r) => route_table::describe(ctx, r).map(Reply::DescribeRouteTables),
        Action::AssociateRouteTable(r) => route_table::associate(ctx, r).map(Reply::AssociateRouteTable),
        Action::DisassociateRouteTable(r) => done(route_table::disassociate(ctx, r), Reply::DisassociateRouteTable),
        Action::ReplaceRouteTableAssociation(r) => {
            route_table::replace_association(ctx, r).map(Reply::ReplaceRouteTableAssociation)
        }
        Action::CreateRoute(r) => route::create(ctx, r).map(Reply::CreateRoute),
        Action::ReplaceRoute(r) => done(route::replace(ctx, r), Reply::ReplaceRoute),
        Action::DeleteRoute(r) => done(route::delete(ctx, r), Reply::DeleteRoute),

        // Network ACLs
        Action::CreateNetworkAcl(r) => network_acl::create(ctx, r).map(Reply::CreateNetworkAcl),
        Action::DeleteNetworkAcl(r) => done(network_acl::delete(ctx, r), Reply::DeleteNetworkAcl),
        Action::DescribeNetworkAcls(r) => network_acl::describe(ctx, r).map(Reply::DescribeNetworkAcls),
        Action::CreateNetworkAclEntry(r) => done(network_acl::create_entry(ctx, r), Reply::CreateNetworkAclEntry),
        Action::ReplaceNetworkAclEntry(r) => done(network_acl::replace_entry(ctx, r), Reply::ReplaceNetworkAclEntry),
        Action::DeleteNetworkAclEntry(r) => done(network_acl::delete_entry(ctx, r), Reply::DeleteNetworkAclEntry),
        Action::ReplaceNetworkAclAssociation(r) => {
            network_acl::replace_association(ctx, r).map(Reply::ReplaceNetworkAclAssociation)
        }

        // Prefix lists
        Action::CreateManagedPrefixList(r) => prefix_list::create(ctx, r).map(Reply::CreateManagedPrefixList),
        Action::DeleteManagedPrefixList(r) => prefix_list::delete(ctx, r).map(Reply::DeleteManagedPrefixList),
        Action::DescribeManagedPrefixLists(r) => prefix_list::describe(ctx, r).map(Reply::DescribeManagedPrefixLists),
        Action::DescribePrefixLists(r) => prefix_list::describe_blocks(ctx, r).map(Reply::DescribePrefixLists),
        Action::ModifyManagedPrefixList(r) => prefix_list::modify(ctx, r).map(Reply::ModifyManagedPrefixList),
        Action::RestoreManagedPrefixListVersion(r) => {
            prefix_list::restore_version(ctx, r).map(Reply::RestoreManagedPrefixListVersion)
        }
        Action::GetManagedPrefixListEntries(r) => prefix_list::entries(ctx, r).map(Reply::GetManagedPrefixListEntries),
        Action::GetManagedPrefixListAssociations(r) => {
            prefix_list::associations(ctx, r).map(Reply::GetManagedPrefixListAssociations)
        }

        // What comes with VPCs
        Action::DescribeDhcpOptions(r) => dhcp_options::describe(ctx, r).map(Reply::DescribeDhcpOptions),

        // Gateways
        Action::CreateInternetGateway(r) => internet_gateway::create(ctx, r).map(Reply::CreateInternetGateway),
        Action::AttachInternetGateway(r) => done(internet_gateway::attach(ctx, r), Reply::AttachInternetGateway),
        Action::DetachInternetGateway(r) => done(internet_gateway::detach(ctx, r), Reply::DetachInternetGateway),
        Action::DeleteInternetGateway(r) => done(internet_gateway::delete(ctx, r), Reply::DeleteInternetGateway),
        Action::DescribeInternetGateways(r) => internet_gateway::describe(ctx, r).map(Reply::DescribeInternetGateways),
        Action::CreateEgressOnlyInternetGateway(r) => {
            egress_only_internet_gateway::create(ctx, r).map(Reply::CreateEgressOnlyInternetGateway)
        }
        Action::DescribeEgressOnlyInternetGateways(r) => {
            egress_only_internet_gateway::describe(ctx, r).map(Reply::DescribeEgressOnlyInternetGateways)
        }
        Action::DeleteEgressOnlyInternetGateway(r) => {
            egress_only_internet_gateway::delete(ctx, r).map(Reply::DeleteEgressOnlyInternetGateway)
        }
        Action::CreateNatGateway(r) => nat_gateway::create(ctx, r).map(Reply::CreateNatGateway),
        Action::DescribeNatGateways(r) => nat_gateway::describe(ctx, r).map(Reply::DescribeNatGateways),
        Action::DeleteNatGateway(r) => nat_gateway::delete(ctx, r).map(Reply::DeleteNatGateway),
        Action::AssociateNatGatewayAddress(r) => nat_gateway::associate(ctx, r).map(Reply::AssociateNatGatewayAddress),
        Action::DisassociateNatGatewayAddress(r) => {
            nat_gateway::disassociate(ctx, r).map(Reply::DisassociateNatGatewayAddress)
        }
        Action::AssignPrivateNatGatewayAddress(r) => {
            nat_gateway::assign_private(ctx, r).map(Reply::AssignPrivateNatGatewayAddress)
        }
        Action::UnassignPrivateNatGatewayAddress(r) => {
            nat_gateway::unassign_private(ctx, r).map(Reply::UnassignPrivateNatGatewayAddress)
        }

        // Public addresses
        Action::AllocateAddress(r) => address::allocate(ctx, r).map(Reply::AllocateAddress),
        Action::ReleaseAddress(r) => done(address::release(ctx, r), Reply::ReleaseAddress),
        Action::AssociateAddress(r) => address::associate(ctx, r).map(Reply::AssociateAddress),
        Action::DisassociateAddress(r) => done(address::disassociate(ctx, r), Reply::DisassociateAddress),
        Action::DescribeAddresses(r) => address::describe(ctx, r).map(Reply::DescribeAddresses),
        Action::DescribeAddressesAttribute(r) => {
            address::describe_attribute(ctx, r).map(Reply::DescribeAddressesAttribute)
        }
        Action::ModifyAddressAttribute(r) => address::modify_attribute(ctx, r).map(Reply::ModifyAddressAttribute),
        Action::DescribePublicIpv4Pools(r) => address::describe_pools(ctx, r).map(Reply::DescribePublicIpv4Pools),
        Action::DescribeIpv6Pools(r) => vpc::describe_pools(ctx, r).map(Reply::DescribeIpv6Pools),
        Action::GetAssociatedIpv6PoolCidrs(r) => vpc::associated_cidrs(ctx, r).map(Reply::GetAssociatedIpv6PoolCidrs),
        Action::EnableAddressTransfer(r) => address::enable(ctx, r).map(Reply::EnableAddressTransfer),
        Action::DisableAddressTransfer(r) => address::disable(ctx, r).map(Reply::DisableAddressTransfer),
        Action::AcceptAddressTransfer(r) => address::accept(ctx, r).map(Reply::AcceptAddressTransfer),
        Action::DescribeAddressTransfers(r) => address::describe_transfers(ctx, r).map(Reply::DescribeAddressTransfers),
        Action::ResetAddressAttribute(r) => address::reset_attribute(ctx, r).map(Reply::ResetAddressAttribute),

        // Network interfaces
        Action::CreateNetworkInterface(r) => network_interface::create(ctx, r).map(Reply::CreateNetworkInterface),
        Action::DeleteNetworkInterface(r) => done(network_interface::delete(ctx, r), Reply::DeleteNetworkInterface),
        Action::DescribeNetworkInterfaces(r) => {
            network_interface::describe(ctx, r).map(Reply::DescribeNetworkInterfaces)
        }
        Action::DescribeNetworkInterfaceAttribute(r) => {
            network_interface::describe_attribute(ctx, r).map(Reply::DescribeNetworkInterfaceAttribute)
        }
        Action::ModifyNetworkInterfaceAttribute(r) => {
            done(network_interface::modify_attribute(ctx, r), Reply::ModifyNetworkInterfaceAttribute)
        }
        Action::ResetNetworkInterfaceAttribute(r) => {
            done(network_interface::reset_attribute(ctx, r), Reply::ResetNetworkInterfaceAttribute)
        }
        Action::AttachNetworkInterface(r) => network_interface::attach(ctx, r).map(Reply::AttachNetworkInterface),
        Action::DetachNetworkInterface(r) => done(network_interface::detach(ctx, r), Reply::DetachNetworkInterface),
        Action::AssignPrivateIpAddresses(r) => {
            network_interface::assign_private_ip_addresses(ctx, r).map(Reply::AssignPrivateIpAddresses)
        }
        Action::UnassignPrivateIpAddresses(r) => {
            done(network_interface::unassign_private_ip_addresses(ctx, r), Reply::UnassignPrivateIpAddresses)
        }
        Action::AssignIpv6Addresses(r) => {
            network_interface::assign_ipv6_addresses(ctx, r).map(Reply::AssignIpv6Addresses)
        }
        Action::UnassignIpv6Addresses(r) => {
            network_interface::unassign_ipv6_addresses(ctx, r).map(Reply::UnassignIpv6Addresses)
        }
        Action::AssociateTrunkInterface(r) => trunk::associate(ctx, r).map(Reply::AssociateTrunkInterface),
        Action::DisassociateTrunkInterface(r) => trunk::disassociate(ctx, r).map(Reply::DisassociateTrunkInterface),
        Action::DescribeTrunkInterfaceAssociations(r) => {
            trunk::describe(ctx, r).map(Reply::DescribeTrunkInterfaceAssociations)
        }

        // Instances
        Action::RunInstances(r) => instance::run(ctx, r).map(Reply::RunInstances),
        Action::DescribeInstances(r) => instance::describe(ctx, r).map(Reply::DescribeInstances),
        Action::DescribeInstanceStatus(r) => instance::describe_status(ctx, r).map(Reply::DescribeInstanceStatus),
        Action::StartInstances(r) => instance::start(ctx, r).map(Reply::StartInstances),
        Action::StopInstances(r) => instance::stop(ctx, r).map(Reply::StopInstances),
        Action::RebootInstances(r) => done(instance::reboot(ctx, r), Reply::RebootInstances),
        Action::TerminateInstances(r) => instance::terminate(ctx, r).map(Reply::TerminateInstances),
        Action::DescribeInstanceAttribute(r) => {
            instance::describe_attribute(ctx, r).map(Reply::DescribeInstanceAttribute)
        }
        Action::ModifyInstanceAttribute(r) => done(instance::modify_attribute(ctx, r), Reply::ModifyInstanceAttribute),
        Action::ResetInstanceAttribute(r) => done(instance::reset_attribute(ctx, r), Reply::ResetInstanceAttribute),
        Action::DescribeInstanceCreditSpecifications(r) => {
            instance::describe_credit_specifications(ctx, r).map(Reply::DescribeInstanceCreditSpecifications)
        }
        Action::ModifyInstanceMetadataOptions(r) => {
            instance::modify_metadata_options(ctx, r).map(Reply::ModifyInstanceMetadataOptions)
        }

        // What instances are made of
        Action::DescribeImages(r) => image::describe(ctx, r).map(Reply::DescribeImages),
        Action::DescribeImageAttribute(r) => image::describe_attribute(ctx, r).map(Reply::DescribeImageAttribute),
        Action::DescribeInstanceTypes(r) => instance_type::describe(ctx, r).map(Reply::DescribeInstanceTypes),
        Action::DescribeInstanceTypeOfferings(r) => {
            instance_type::describe_offerings(ctx, r).map(Reply::DescribeInstanceTypeOfferings)
        }
        Action::DescribeVolumes(r) => volume::describe(ctx, r).map(Reply::DescribeVolumes),
        Action::CreateKeyPair(r) => key_pair::create(ctx, r).map(Reply::CreateKeyPair),
        Action::ImportKeyPair(r) => key_pair::import(ctx, r).map(Reply::ImportKeyPair),
        Action::DescribeKeyPairs(r) => key_pair::describe(ctx, r).map(Reply::DescribeKeyPairs),
        Action::DeleteKeyPair(r) => key_pair::delete(ctx, r).map(Reply::DeleteKeyPair),

        // Tags
        Action::CreateTags(r) => done(tag::create(ctx, r), Reply::CreateTags),
        Action::DeleteTags(r) => done(tag::delete(ctx, r), Reply::DeleteTags),
        Action::DescribeTags(r) => tag::describe(ctx, r).map(Reply::DescribeTags),

        // Places
        Action::DescribeAvailabilityZones(r) => {
            availability_zone::describe(ctx, r).map(Reply::DescribeAvailabilityZones)
        }
        Action::DescribeRegions(r) => region::describe(ctx, r).map(Reply::DescribeRegions),

        // The caller
        Action::DescribeAccountAttributes(r) => {
            account_attributes::describe(ctx, r).map(Reply::DescribeAccountAttributes)
        }
        Action::GetCallerIdentity(_) => caller_identity::get(ctx).map(Reply::GetCallerIdentity),
        // What a guest prints is kept by its host: a server that can ask the host answers before there is a plan.
        Action::GetConsoleOutput(_) => {
            Err(ApiError::unsupported("The action GetConsoleOutput is not implemented by Groundplane."))
        }
    }
}
