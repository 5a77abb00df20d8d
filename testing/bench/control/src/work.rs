//! What one client asks for, call by call. Every answer is looked at: a server that answers nothing is not fast.

use crate::connection::{Connection, element};
use anyhow::{Context, Result, ensure};

/// Items of a page.
const PAGE: usize = 100;
/// Steps through a list in an order that is neither sorted nor the same for two clients.
const STRIDE: usize = 7919;

/// Carries out the call with that number, and gives what it made.
pub type Call<'a> = Box<dyn FnMut(&mut Connection, usize) -> Result<Option<String>> + Send + 'a>;

pub fn create(subnets: &[String]) -> Call<'_> {
    Box::new(|connection, number| {
        let subnet = in_turn(subnets, number)?;
        let document =
            connection.call(&format!("Action=CreateNetworkInterface&Version=2016-11-15&SubnetId={subnet}"))?;
        Ok(Some(element(document, "networkInterfaceId").context("no networkInterfaceId")?.to_owned()))
    })
}

pub fn delete(ids: &[String]) -> Call<'_> {
    Box::new(|connection, number| {
        let id = in_turn(ids, number)?;
        let form = format!("Action=DeleteNetworkInterface&Version=2016-11-15&NetworkInterfaceId={id}");
        connection.call(&form).map(|_document| None)
    })
}

pub fn by_id(ids: &[String], client: usize) -> Call<'_> {
    Box::new(move |connection, number| {
        let id = in_turn(ids, (client + 1) * STRIDE * (number + 1))?;
        let form = format!("Action=DescribeNetworkInterfaces&Version=2016-11-15&NetworkInterfaceId.1={id}");
        let document = connection.call(&form)?;
        ensure!(element(document, "networkInterfaceId") == Some(id), "another interface than {id}: {document}");
        Ok(None)
    })
}

pub fn page(subnets: &[String], client: usize) -> Call<'_> {
    let (mut subnet, mut token) = (client, None::<String>);
    Box::new(move |connection, _number| {
        let id = in_turn(subnets, subnet)?;
        let mut form = format!(
            "Action=DescribeNetworkInterfaces&Version=2016-11-15&Filter.1.Name=subnet-id&Filter.1.Value.1={id}\
             &MaxResults={PAGE}"
        );
        if let Some(token) = &token {
            form.push_str("&NextToken=");
            form.push_str(token);
        }
        let document = connection.call(&form)?;
        ensure!(document.contains(&format!("<subnetId>{id}</subnetId>")), "nothing of {id}: {document}");
        token = element(document, "nextToken").filter(|token| !token.is_empty()).map(str::to_owned);
        if token.is_none() {
            subnet += 1;
        }
        Ok(None)
    })
}

pub fn authorize(groups: &[String]) -> Call<'_> {
    Box::new(move |connection, number| {
        let group = in_turn(groups, number)?;
        let rule = u32::try_from(number)?;
        // Three bytes of the number are the block, so that no two rules are alike.
        let [_, a, b, c] = rule.to_be_bytes();
        let form = format!(
            "Action=AuthorizeSecurityGroupIngress&Version=2016-11-15&GroupId={group}&IpPermissions.1.IpProtocol=tcp\
             &IpPermissions.1.FromPort=80&IpPermissions.1.ToPort=80&IpPermissions.1.IpRanges.1.CidrIp=11.{a}.{b}.{c}/32"
        );
        connection.call(&form).map(|_document| None)
    })
}

fn in_turn(list: &[String], number: usize) -> Result<&String> {
    list.get(number.checked_rem(list.len()).unwrap_or_default()).context("an empty list")
}
