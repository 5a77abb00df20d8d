# Network ACLs, prefix lists and routes, in every form that the provider has for them.

resource "aws_vpc" "main" {
  cidr_block                       = "10.30.0.0/16"
  assign_generated_ipv6_cidr_block = true
}

resource "aws_subnet" "front" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.30.1.0/24"
}

resource "aws_subnet" "back" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.30.2.0/24"
}

resource "aws_default_network_acl" "default" {
  default_network_acl_id = aws_vpc.main.default_network_acl_id
  ingress {
    rule_no    = 100
    action     = "allow"
    protocol   = -1
    from_port  = 0
    to_port    = 0
    cidr_block = "10.0.0.0/8"
  }
  egress {
    rule_no         = 101
    action          = "allow"
    protocol        = -1
    from_port       = 0
    to_port         = 0
    ipv6_cidr_block = "::/0"
  }
  lifecycle { ignore_changes = [subnet_ids] }
}

resource "aws_network_acl" "front" {
  vpc_id     = aws_vpc.main.id
  subnet_ids = [aws_subnet.front.id]
  ingress {
    rule_no    = 100
    action     = "allow"
    protocol   = "tcp"
    from_port  = 80
    to_port    = 81
    cidr_block = "0.0.0.0/0"
  }
  ingress {
    rule_no    = 110
    action     = "allow"
    protocol   = "icmp"
    icmp_type  = 8
    icmp_code  = -1
    from_port  = 0
    to_port    = 0
    cidr_block = "0.0.0.0/0"
  }
  egress {
    rule_no    = 100
    action     = "allow"
    protocol   = "-1"
    from_port  = 0
    to_port    = 0
    cidr_block = "0.0.0.0/0"
  }
  tags = { Name = "front" }
}

resource "aws_network_acl" "back" {
  vpc_id = aws_vpc.main.id
}

resource "aws_network_acl_association" "back" {
  network_acl_id = aws_network_acl.back.id
  subnet_id      = aws_subnet.back.id
}

resource "aws_network_acl_rule" "in" {
  network_acl_id = aws_network_acl.back.id
  rule_number    = 200
  rule_action    = "allow"
  protocol       = "udp"
  from_port      = 53
  to_port        = 53
  cidr_block     = "10.30.0.0/16"
}

resource "aws_network_acl_rule" "out" {
  network_acl_id  = aws_network_acl.back.id
  egress          = true
  rule_number     = 200
  rule_action     = "deny"
  protocol        = "58"
  icmp_type       = 128
  icmp_code       = -1
  ipv6_cidr_block = "::/0"
}

resource "aws_ec2_managed_prefix_list" "offices" {
  name           = "offices"
  address_family = "IPv4"
  max_entries    = 4
  entry {
    cidr        = "203.0.113.0/24"
    description = "here"
  }
  entry { cidr = "198.18.0.0/15" }
  tags = { Name = "offices" }
}

resource "aws_ec2_managed_prefix_list" "partners" {
  name           = "partners"
  address_family = "IPv6"
  max_entries    = 2
}

resource "aws_ec2_managed_prefix_list_entry" "partner" {
  prefix_list_id = aws_ec2_managed_prefix_list.partners.id
  cidr           = "2001:db8:1::/48"
  description    = "the first one"
}

data "aws_ec2_managed_prefix_list" "offices" {
  name       = aws_ec2_managed_prefix_list.offices.name
  depends_on = [aws_ec2_managed_prefix_list.offices]
}

resource "aws_security_group" "office" {
  name   = "office"
  vpc_id = aws_vpc.main.id
  ingress {
    from_port       = 22
    to_port         = 22
    protocol        = "tcp"
    prefix_list_ids = [aws_ec2_managed_prefix_list.offices.id]
  }
}

resource "aws_security_group" "partner" {
  name   = "partner"
  vpc_id = aws_vpc.main.id
}

resource "aws_vpc_security_group_ingress_rule" "partner" {
  security_group_id = aws_security_group.partner.id
  prefix_list_id    = aws_ec2_managed_prefix_list.partners.id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_network_interface" "box" {
  subnet_id         = aws_subnet.front.id
  source_dest_check = false
}

resource "aws_route_table" "inline" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block           = "0.0.0.0/0"
    network_interface_id = aws_network_interface.box.id
  }
  route {
    destination_prefix_list_id = aws_ec2_managed_prefix_list.offices.id
    network_interface_id       = aws_network_interface.box.id
  }
}

resource "aws_route_table" "own" {
  vpc_id = aws_vpc.main.id
  tags   = { Name = "own" }
}

resource "aws_route" "ipv6" {
  route_table_id              = aws_route_table.own.id
  destination_ipv6_cidr_block = "::/0"
  network_interface_id        = aws_network_interface.box.id
}

resource "aws_route" "through_the_box" {
  route_table_id         = aws_route_table.own.id
  destination_cidr_block = aws_subnet.back.cidr_block
  network_interface_id   = aws_network_interface.box.id
}

resource "aws_route_table_association" "front" {
  subnet_id      = aws_subnet.front.id
  route_table_id = aws_route_table.own.id
}

resource "aws_main_route_table_association" "main" {
  vpc_id         = aws_vpc.main.id
  route_table_id = aws_route_table.inline.id
}

output "offices" { value = data.aws_ec2_managed_prefix_list.offices.id }
output "table" { value = aws_route_table.own.id }
