//! `groundplane demo`: a tour with the real `aws` CLI. Two VPCs with the same block, a request that works, one that
//! hangs, the group that stopped it, and the command that mends it. Every command is printed as it runs, so that a
//! reader can do the same by hand.

use crate::env::variables;
use crate::place::RunFile;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The account that the tour works in and empties before it starts, so that it never touches the user's own.
pub const DEMO_ACCOUNT: &str = "111122223333";
const BLOCK: &str = "10.0.0.0/16";
const WEB: &str = "10.0.1.10";
const CLIENT: &str = "10.0.1.20";
const IMAGE_NAME: &str = "al2023-ami-2023.*-kernel-6.1-x86_64";
/// Instances boot in milliseconds and the web servers in less than a second; this is for slow machines.
const BOOT_TIMEOUT: Duration = Duration::from_secs(30);

/// # Errors
/// `aws` is missing, or a step of the tour doesn't end as it should.
pub fn run(run_dir: &Path, name: &str) -> Result<()> {
    let tour = Tour::new(run_dir, name)?;
    tour.reset()?;
    say("Two VPCs with the same addresses, side by side.");
    let shop = tour.network("shop")?;
    let lab = tour.network("lab")?;

    say("A web server and a client in each, at the same addresses too.");
    tour.instances(&shop)?;
    tour.instances(&lab)?;
    tour.wait_until_web_answers(&shop)?;
    tour.wait_until_web_answers(&lab)?;

    say("Each client asks the same address and gets its own VPC's server.");
    tour.curl_expecting(&shop, "80", true)?;
    tour.curl_expecting(&lab, "80", true)?;

    say("Port 8080 listens as well, but no rule lets it in: the request hangs, as it would on AWS.");
    tour.curl_expecting(&shop, "8080", false)?;

    say("Why? The same trace that forwards the packets explains them.");
    tour.why(&shop)?;

    say("The command that it names mends it, at once.");
    tour.aws(&[
        "ec2",
        "authorize-security-group-ingress",
        "--group-id",
        &shop.web_group,
        "--protocol",
        "tcp",
        "--port",
        "8080",
        "--source-group",
        &shop.client_group,
        "--query",
        "Return",
        "--output",
        "text",
    ])?;
    tour.curl_expecting(&shop, "8080", true)?;
    tour.goodbye(&shop);
    Ok(())
}

/// What one VPC of the tour is made of.
struct Network {
    name: &'static str,
    subnet: String,
    web_group: String,
    client_group: String,
}

struct Tour<'a> {
    name: &'a str,
    endpoint: String,
    environment: BTreeMap<&'static str, String>,
    groundplane: std::path::PathBuf,
}

fn say(sentence: &str) {
    println!("\n{}\n", styled("1", sentence));
}

fn show_command(line: &str) {
    println!("{}", styled("36", &format!("$ {line}")));
}

/// With an ANSI style, where a person reads it.
fn styled(style: &str, text: &str) -> String {
    if std::io::stdout().is_terminal() { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
}

impl<'a> Tour<'a> {
    fn new(run_dir: &Path, name: &'a str) -> Result<Self> {
        let up = RunFile::read(run_dir)?;
        let environment = variables(&up, DEMO_ACCOUNT);
        let found = Command::new("aws").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        ensure!(found.is_ok_and(|s| s.success()), "the tour needs the aws CLI in the PATH: pip install awscli");
        Ok(Self { name, endpoint: format!("http://{}", up.listen), environment, groundplane: std::env::current_exe()? })
    }

    /// Empties the demo's own account.
    fn reset(&self) -> Result<()> {
        let authorization = format!("AWS4-HMAC-SHA256 Credential={DEMO_ACCOUNT}/20260101/us-east-1/ec2/aws4_request");
        let status = Command::new("curl")
            .args(["-fsS", "-o", "/dev/null", "-X", "POST", "-H"])
            .arg(format!("Authorization: {authorization}, SignedHeaders=host, Signature=0"))
            .arg(format!("{}/_groundplane/reset", self.endpoint))
            .status()
            .context("running curl")?;
        ensure!(status.success(), "emptying the demo's account failed");
        Ok(())
    }

    /// Runs `aws` with these arguments, shows both, and gives back what it printed.
    fn aws(&self, arguments: &[&str]) -> Result<String> {
        show_command(&format!("aws {}", shell_words(arguments)));
        let output = Command::new("aws").args(arguments).envs(&self.environment).output().context("running aws")?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() {
            bail!("aws failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        if !text.is_empty() {
            println!("{text}");
        }
        Ok(text)
    }

    fn network(&self, name: &'static str) -> Result<Network> {
        let tag = |kind: &str, name: &str| format!("ResourceType={kind},Tags=[{{Key=Name,Value={name}}}]");
        let text = ["--output", "text"];
        let create_vpc = ["ec2", "create-vpc", "--cidr-block", BLOCK, "--tag-specifications", &tag("vpc", name)];
        let vpc = self.aws(&[&create_vpc, &["--query", "Vpc.VpcId"][..], &text].concat())?;
        let create_subnet = ["ec2", "create-subnet", "--vpc-id", &vpc, "--cidr-block", "10.0.1.0/24"];
        let subnet = self.aws(&[&create_subnet, &["--query", "Subnet.SubnetId"][..], &text].concat())?;
        let web_group = self.group(&vpc, "web", "web servers")?;
        let client_group = self.group(&vpc, "client", "clients")?;
        self.aws(&[
            "ec2",
            "authorize-security-group-ingress",
            "--group-id",
            &web_group,
            "--protocol",
            "tcp",
            "--port",
            "80",
            "--source-group",
            &client_group,
            "--query",
            "Return",
            "--output",
            "text",
        ])?;
        Ok(Network { name, subnet, web_group, client_group })
    }

    fn group(&self, vpc: &str, name: &str, description: &str) -> Result<String> {
        self.aws(&[
            "ec2",
            "create-security-group",
            "--vpc-id",
            vpc,
            "--group-name",
            name,
            "--description",
            description,
            "--query",
            "GroupId",
            "--output",
            "text",
        ])
    }

    fn instances(&self, network: &Network) -> Result<()> {
        let image = self.aws(&[
            "ec2",
            "describe-images",
            "--owners",
            "amazon",
            "--filters",
            &format!("Name=name,Values={IMAGE_NAME}"),
            "--query",
            "Images[0].ImageId",
            "--output",
            "text",
        ])?;
        let greeting = format!("hello from {}", network.name);
        let user_data = format!(
            "#!/bin/sh\nmkdir -p /srv/www && cd /srv/www && echo '{greeting}' > index.html\n\
             python3 -m http.server 80 &\npython3 -m http.server 8080 &\n"
        );
        self.instance(network, "web", WEB, &network.web_group, &image, Some(&user_data))?;
        self.instance(network, "client", CLIENT, &network.client_group, &image, None)
    }

    fn instance(
        &self,
        network: &Network,
        role: &str,
        address: &str,
        group: &str,
        image: &str,
        user_data: Option<&str>,
    ) -> Result<()> {
        let tag = format!("ResourceType=instance,Tags=[{{Key=Name,Value={}}}]", instance_name(network, role));
        let mut arguments = vec![
            "ec2",
            "run-instances",
            "--image-id",
            image,
            "--instance-type",
            "t3.micro",
            "--subnet-id",
            &network.subnet,
            "--private-ip-address",
            address,
            "--security-group-ids",
            group,
            "--tag-specifications",
            &tag,
        ];
        if let Some(user_data) = user_data {
            arguments.extend(["--user-data", user_data]);
        }
        arguments.extend(["--query", "Instances[0].[InstanceId,PrivateIpAddress,State.Name]", "--output", "text"]);
        self.aws(&arguments).map(drop)
    }

    /// A request of the network's client to its web server: what it printed, if it was answered within a second.
    fn curl(&self, network: &Network, port: &str) -> Result<Option<String>> {
        let url = format!("http://{WEB}:{port}");
        let output = Command::new(&self.groundplane)
            .args([
                "exec",
                "--name",
                self.name,
                &instance_name(network, "client"),
                "--",
                "curl",
                "-sS",
                "-m",
                "2",
                &url,
            ])
            .stdin(Stdio::null())
            .output()
            .context("running groundplane exec")?;
        Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned()))
    }

    fn wait_until_web_answers(&self, network: &Network) -> Result<()> {
        let deadline = Instant::now() + BOOT_TIMEOUT;
        while Instant::now() < deadline {
            if self.curl(network, "80")?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("the web server of '{}' did not answer within {} s", network.name, BOOT_TIMEOUT.as_secs())
    }

    fn curl_expecting(&self, network: &Network, port: &str, answered: bool) -> Result<()> {
        let client = instance_name(network, "client");
        show_command(&format!("groundplane exec {client} -- curl -m 2 http://{WEB}:{port}"));
        let answer = self.curl(network, port)?;
        match &answer {
            // What curl itself says after its two seconds.
            Some(text) => println!("{text}"),
            None => println!("curl: (28) Connection timed out"),
        }
        ensure!(answer.is_some() == answered, "that is not what should have happened");
        Ok(())
    }

    fn why(&self, network: &Network) -> Result<()> {
        let (client, web) = (instance_name(network, "client"), instance_name(network, "web"));
        show_command(&format!("groundplane why {client} {web} tcp/8080"));
        // A drop makes `why` exit with 1: that is its answer here.
        let status =
            Command::new(&self.groundplane).args(["why", "--name", self.name, &client, &web, "tcp/8080"]).status()?;
        ensure!(status.code() == Some(1), "'why' should have found what drops the packet");
        Ok(())
    }

    fn goodbye(&self, network: &Network) {
        let name = if self.name == "default" { String::new() } else { format!(" --name {}", self.name) };
        say("That was the tour. It is all still running; go on with:");
        println!("  eval \"$(groundplane env{name} --account {DEMO_ACCOUNT})\"");
        println!("  aws ec2 describe-instances --output table");
        println!("  groundplane exec{name} {}", instance_name(network, "client"));
        println!("  groundplane status{name}");
        println!("  groundplane down{name} --purge        # removes every trace\n");
    }
}

fn instance_name(network: &Network, role: &str) -> String {
    format!("{}-{role}", network.name)
}

/// The arguments as a shell would need them.
fn shell_words(arguments: &[&str]) -> String {
    let quote = |word: &&str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            (*word).to_owned()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    arguments.iter().map(quote).collect::<Vec<_>>().join(" ")
}
