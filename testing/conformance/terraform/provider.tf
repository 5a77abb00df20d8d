# What every stack here begins with.

variable "region" {}
variable "endpoint" {}

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region = var.region
  endpoints {
    ec2 = var.endpoint
    sts = var.endpoint
  }
}
