# A VPC with two subnets, groups with rules, an interface of its own and two instances.

data "aws_caller_identity" "me" {}
data "aws_availability_zones" "all" { state = "available" }

data "aws_ami" "al2023" {
  most_recent = true
  owners      = ["amazon"]
  filter {
    name   = "name"
    values = ["al2023-ami-2023.*-kernel-6.1-x86_64"]
  }
}

data "aws_ec2_instance_type" "small" { instance_type = "t3.small" }

resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.main.id
  ingress {
    from_port = 0
    to_port   = 0
    protocol  = -1
    self      = true
  }
}

resource "aws_vpc" "main" {
  cidr_block           = "10.20.0.0/16"
  enable_dns_hostnames = true
  tags                 = { Name = "tf" }
}

resource "aws_vpc_ipv4_cidr_block_association" "more" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.21.0.0/16"
}

resource "aws_subnet" "a" {
  vpc_id            = aws_vpc.main.id
  cidr_block        = "10.20.1.0/24"
  availability_zone = data.aws_availability_zones.all.names[0]
}

resource "aws_subnet" "b" {
  vpc_id            = aws_vpc.main.id
  cidr_block        = "10.20.2.0/24"
  availability_zone = data.aws_availability_zones.all.names[1]
  tags              = { tier = "back" }
}

resource "aws_ec2_subnet_cidr_reservation" "by_hand" {
  subnet_id        = aws_subnet.a.id
  cidr_block       = "10.20.1.192/28"
  reservation_type = "explicit"
  description      = "for addresses that are named"
}

resource "aws_route_table" "own" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route_table_association" "b" {
  subnet_id      = aws_subnet.b.id
  route_table_id = aws_route_table.own.id
}

resource "aws_security_group" "client" {
  name        = "client"
  description = "clients"
  vpc_id      = aws_vpc.main.id
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "web" {
  name        = "web"
  description = "web servers"
  vpc_id      = aws_vpc.main.id
}

resource "aws_vpc_security_group_ingress_rule" "web" {
  security_group_id            = aws_security_group.web.id
  referenced_security_group_id = aws_security_group.client.id
  ip_protocol                  = "tcp"
  from_port                    = 80
  to_port                      = 80
  tags                         = { why = "the shop" }
}

resource "aws_security_group_rule" "ping" {
  type              = "ingress"
  security_group_id = aws_security_group.web.id
  protocol          = "icmp"
  from_port         = -1
  to_port           = -1
  cidr_blocks       = ["10.20.0.0/16"]
}

resource "aws_key_pair" "key" {
  key_name   = "key"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl test"
}

resource "aws_network_interface" "extra" {
  subnet_id       = aws_subnet.a.id
  private_ips     = ["10.20.1.77"]
  security_groups = [aws_security_group.web.id]
}

resource "aws_instance" "web" {
  ami                    = data.aws_ami.al2023.id
  instance_type          = "t3.micro"
  subnet_id              = aws_subnet.a.id
  private_ip             = "10.20.1.10"
  key_name               = aws_key_pair.key.key_name
  vpc_security_group_ids = [aws_security_group.web.id]
  user_data              = "#!/bin/sh\ntrue\n"
  tags                   = { Name = "tf-web" }
}

resource "aws_network_interface" "moved" {
  subnet_id   = aws_subnet.a.id
  private_ips = ["10.20.1.80", "10.20.1.81"]
}

# Its end must be seen, or each destroy waits two and a half minutes for it.
resource "aws_network_interface_attachment" "moved" {
  instance_id          = aws_instance.web.id
  network_interface_id = aws_network_interface.moved.id
  device_index         = 1
}

resource "aws_instance" "with_own_interface" {
  ami           = data.aws_ami.al2023.id
  instance_type = "t3.nano"
  network_interface {
    device_index         = 0
    network_interface_id = aws_network_interface.extra.id
  }
}

resource "aws_instance" "client" {
  ami                    = data.aws_ami.al2023.id
  instance_type          = "t3.micro"
  subnet_id              = aws_subnet.b.id
  vpc_security_group_ids = [aws_security_group.client.id]
  source_dest_check      = false
  tags                   = { Name = "tf-client" }
  private_dns_name_options { hostname_type = "ip-name" }
}

output "web" { value = aws_instance.web.id }
output "client" { value = aws_instance.client.id }
