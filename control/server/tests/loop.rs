//! Life of an API call: planned, stored, obeyed, answered. With hosts that apply at once and hosts that never do.

mod support;

use gp_model::{
    AccountId, Change, Generation, ImageId, Instance, InstanceId, InstanceState, Record, Region, ReservationId,
    SubnetId, Timestamp, Transaction, VpcId, World,
};
use gp_server::{Auth, KeyRing, NOT_YET_APPLIED, RegionGate, Settings};
use gp_store::{Commit, CommitError, Memory, Snapshot, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use support::{Host, Running, element, eventually, post, quick, signed, start, start_with, status};
use tokio::sync::watch;

fn create_vpc(second_octet: usize) -> String {
    format!("Action=CreateVpc&Version=2016-11-15&CidrBlock=10.{second_octet}.0.0/16")
}

#[test]
fn a_change_is_stored_obeyed_and_answered() {
    let running = start(Host::Prompt);
    let answer = running.call(&create_vpc(7));
    assert_eq!(status(&answer), "200", "{answer}");
    assert!(!answer.contains(NOT_YET_APPLIED));
    let vpc = element(&answer, "vpcId");
    let id = element(&answer, "requestId");
    assert!(answer.contains(&format!("x-amzn-requestid: {id}\r\n")), "{answer}");
    let view = running.server.host_view().borrow().clone();
    assert_eq!(view.generation, running.generation());
    let world = view.regions.get(&Region::new("us-east-1")).unwrap();
    assert!(world.vpc(vpc.parse().unwrap()).is_some());
    let described = running.get(&format!("/?Action=DescribeVpcs&Version=2016-11-15&VpcId.1={vpc}"));
    assert_eq!(element(&described, "cidrBlock"), "10.7.0.0/16");
}

#[test]
fn the_query_string_and_the_body_make_one_form() {
    let running = start(Host::Prompt);
    let request = post("/?Action=CreateVpc&Version=2016-11-15", "", "CidrBlock=10.0.0.0/16");
    assert_eq!(status(&running.exchange(request.as_bytes())), "200");
}

#[test]
fn the_first_call_of_an_account_brings_its_default_vpc_even_if_it_only_reads() {
    let running = start(Host::Prompt);
    for (account, region) in [("111122223333", "eu-central-1"), ("444455556666", "eu-west-1")] {
        let as_account = signed(account, region, "ec2");
        let first = running.call_as(&as_account, "Action=DescribeVpcs&Version=2016-11-15");
        let again = running.call_as(&as_account, "Action=DescribeVpcs&Version=2016-11-15");
        assert_eq!(element(&first, "cidrBlock"), "172.31.0.0/16");
        assert_eq!(element(&first, "ownerId"), account);
        assert_eq!(element(&first, "vpcId"), element(&again, "vpcId"));
    }
    assert_eq!(running.generation(), Generation(2), "one transaction each");
}

#[test]
fn a_region_that_the_host_cannot_serve_is_refused_before_it_is_begun() {
    let region_gate = RegionGate::new(|region| match region.as_str() {
        "eu-west-1" => Err("its addresses are routed elsewhere".to_owned()),
        _ => Ok(()),
    });
    let settings = Settings { region_gate, ..quick() };
    let running = start_with(Host::Prompt, settings, Arc::new(Memory::new()));
    for action in ["DescribeVpcs", "CreateVpc&CidrBlock=10.0.0.0/16"] {
        let form = format!("Action={action}&Version=2016-11-15");
        let refused = running.call_as(&signed("111122223333", "eu-west-1", "ec2"), &form);
        assert_eq!((status(&refused), element(&refused, "Code")), ("400", "UnsupportedOperation"));
        assert!(element(&refused, "Message").contains("its addresses are routed elsewhere"), "{refused}");
    }
    running.check_unharmed(Generation(0));
    let form = "Action=DescribeVpcs&Version=2016-11-15";
    assert_eq!(status(&running.call_as(&signed("111122223333", "eu-central-1", "ec2"), form)), "200");
}

#[test]
fn a_silent_host_delays_a_change_by_the_bounded_wait_and_no_reader() {
    let running = start(Host::Silent);
    let started = Instant::now();
    let answer = running.call(&create_vpc(0));
    assert_eq!(status(&answer), "200");
    assert!(answer.contains(&format!("{NOT_YET_APPLIED}: 1\r\n")), "{answer}");
    assert!(started.elapsed() >= quick().limits.host_wait);
    let started = Instant::now();
    for _ in 0..20 {
        assert_eq!(status(&running.call("Action=DescribeVpcs&Version=2016-11-15")), "200");
    }
    assert!(started.elapsed() < quick().limits.host_wait, "readers waited: {:?}", started.elapsed());
}

#[test]
fn concurrent_writers_all_get_through_without_conflicts() {
    let mut settings = quick();
    settings.planner.quotas.vpcs = 1000;
    let running = Arc::new(start_with(Host::Prompt, settings, Arc::new(Memory::new())));
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let running = running.clone();
            std::thread::spawn(move || {
                for n in 0..10 {
                    let answer = running.call(&create_vpc(client * 10 + n));
                    assert_eq!(status(&answer), "200", "{answer}");
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(running.generation(), Generation(80));
}

#[test]
fn a_dry_run_stores_nothing() {
    let running = start(Host::Prompt);
    let answer = running.call(&format!("{}&DryRun=true", create_vpc(0)));
    assert_eq!((status(&answer), element(&answer, "Code")), ("412", "DryRunOperation"));
    running.check_unharmed(Generation(0));
}

#[test]
fn sts_answers_and_refuses_in_its_own_form() {
    let running = start(Host::Prompt);
    let as_account = signed("111122223333", "us-east-1", "sts");
    let answer = running.call_as(&as_account, "Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!(element(&answer, "Account"), "111122223333");
    let refused = running.call_as(&as_account, "Action=NoSuchThing&Version=2011-06-15");
    assert!(refused.contains("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"), "{refused}");
    running.check_unharmed(Generation(0));
}

#[test]
fn a_strict_server_answers_only_its_keys_and_resets_nobody() {
    let keys = KeyRing::parse("AKIDEXAMPLE secret").unwrap();
    let settings = Settings { auth: Auth::Strict(keys), ..quick() };
    let running = start_with(Host::Prompt, settings, Arc::new(Memory::new()));
    let unsigned = running.call(&create_vpc(0));
    assert_eq!((status(&unsigned), element(&unsigned, "Code")), ("403", "MissingAuthenticationToken"));
    let stranger = running.call_as(&signed("111122223333", "us-east-1", "ec2"), &create_vpc(0));
    assert_eq!((status(&stranger), element(&stranger, "Code")), ("401", "AuthFailure"));
    let sts = running.call_as(&signed("1", "us-east-1", "sts"), "Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!((status(&sts), element(&sts, "Code")), ("403", "InvalidClientTokenId"));
    assert!(sts.contains("<ErrorResponse"), "{sts}");
    assert_eq!(status(&running.exchange(post("/_groundplane/reset", "", "").as_bytes())), "403");
    running.check_unharmed(Generation(0));
}

#[test]
fn a_strict_server_answers_a_good_signature_and_no_tampered_one() {
    let keys = KeyRing::parse("AKIDEXAMPLE s3cret 111122223333").unwrap();
    let settings = Settings { auth: Auth::Strict(keys), ..quick() };
    let running = start_with(Host::Prompt, settings, Arc::new(Memory::new()));
    let form = "Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=tag%3AName&Filter.1.Value.1=a+b%2A";
    let signed = sign("AKIDEXAMPLE", "s3cret", form);
    let answer = running.call_as(&signed, form);
    assert_eq!(status(&answer), "200", "{answer}");
    for (headers, form) in [
        (&signed, form.replace("a+b", "a+c")),
        (&sign("AKIDEXAMPLE", "other", form), form.to_owned()),
        (&signed.replace("us-east-1", "us-east-2"), form.to_owned()),
    ] {
        assert_eq!(element(&running.call_as(headers, &form), "Code"), "AuthFailure");
    }
}

/// Header lines that sign a POST to `/`: IAM user guide, "Create a signed AWS API request".
fn sign(access_key: &str, secret: &str, form: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::{Digest, Sha256};
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let hmac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let text = gp_ec2::Timestamp::from_millis(now as i64).to_string();
    let stamp = format!("{}Z", text.split('.').next().unwrap().replace(['-', ':'], ""));
    let scope = format!("{}/us-east-1/ec2/aws4_request", &stamp[..8]);
    let body = hex(&Sha256::digest(form));
    let request = format!("POST\n/\n\nhost:x\nx-amz-date:{stamp}\n\nhost;x-amz-date\n{body}");
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex(&Sha256::digest(request)));
    let first = format!("AWS4{secret}").into_bytes();
    let key = [&stamp[..8], "us-east-1", "ec2", "aws4_request"].iter().fold(first, |key, part| hmac(&key, part));
    let signature = hex(&hmac(&key, &to_sign));
    format!(
        "x-amz-date: {stamp}\r\nauthorization: AWS4-HMAC-SHA256 Credential={access_key}/{scope}, \
         SignedHeaders=host;x-amz-date, Signature={signature}\r\n"
    )
}

// === Stores that refuse ===

/// A store that refuses its first commits.
struct Refusing {
    memory: Memory,
    left: AtomicU32,
    error: CommitError,
}

impl Refusing {
    fn first(refusals: u32, error: CommitError) -> Arc<Self> {
        Arc::new(Self { memory: Memory::new(), left: AtomicU32::new(refusals), error })
    }
}

impl Store for Refusing {
    fn snapshot(&self) -> Snapshot {
        self.memory.snapshot()
    }
    fn head(&self) -> Snapshot {
        self.memory.head()
    }
    fn commit_planned(&self, base: Generation, transaction: Transaction, planned: Option<World>) -> Commit {
        let refuse = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match refuse {
            Ok(_) => Box::pin(std::future::ready(Err(self.error.clone()))),
            Err(_none_left) => self.memory.commit_planned(base, transaction, planned),
        }
    }
    fn watch(&self) -> watch::Receiver<Snapshot> {
        self.memory.watch()
    }
}

fn conflict() -> CommitError {
    CommitError::Conflict { region: Region::new("us-east-1"), base: Generation(0), current: Generation(1) }
}

#[test]
fn a_conflict_is_planned_again_and_never_seen() {
    let running = start_with(Host::Prompt, quick(), Refusing::first(3, conflict()));
    assert_eq!(status(&running.call(&create_vpc(0))), "200");
    assert_eq!(running.generation(), Generation(1));
}

#[test]
fn endless_conflicts_end_in_an_error_that_clients_retry() {
    let running = start_with(Host::Prompt, quick(), Refusing::first(u32::MAX, conflict()));
    let answer = running.call(&create_vpc(0));
    assert_eq!((status(&answer), element(&answer, "Code")), ("503", "Unavailable"));
}

#[test]
fn a_failed_store_is_said_so_and_can_still_be_read() {
    let failed = CommitError::Failed { reason: "no space left on device".into() };
    let store = Refusing::first(0, failed);
    let running = start_with(Host::Prompt, quick(), store.clone());
    assert_eq!(status(&running.call(&create_vpc(0))), "200");
    store.left.store(u32::MAX, Ordering::Relaxed);
    let answer = running.call(&create_vpc(1));
    assert_eq!((status(&answer), element(&answer, "Code")), ("500", "InternalError"));
    assert!(element(&answer, "Message").contains("no space left on device"));
    let health = running.get("/_groundplane/health");
    assert!(status(&health) == "503" && health.contains("no space left on device"), "{health}");
    assert_eq!(status(&running.call("Action=DescribeVpcs&Version=2016-11-15")), "200");
    assert_eq!(running.generation(), Generation(1));
}

// === Instances ===

fn instance(bits: u128, owner: &str) -> Instance {
    Instance {
        id: InstanceId::from_bits(bits),
        owner: owner.parse().unwrap(),
        reservation: ReservationId::from_bits(1),
        launch_index: 0,
        image: ImageId::from_bits(1),
        instance_type: "t3.micro".into(),
        key_name: None,
        vpc: VpcId::from_bits(1),
        subnet: SubnetId::from_bits(1),
        zone: Region::new("us-east-1").zone('a'),
        state: InstanceState::Pending,
        boot: 1,
        state_reason: None,
        state_transition_reason: String::new(),
        launched_at: Timestamp(0),
        terminated_at: None,
        user_data: None,
        client_token: None,
        disable_api_termination: true,
        disable_api_stop: false,
        shutdown_behavior: "stop".into(),
        ebs_optimized: false,
        monitoring: false,
        cpu_credits: None,
        metadata: Default::default(),
        guest: Default::default(),
        tags: [("Name".to_owned(), format!("web {bits}"))].into(),
    }
}

/// Stores instances as if they had been run.
fn run(store: &dyn Store, instances: impl IntoIterator<Item = Instance>) {
    let changes = instances.into_iter().map(|instance| Change::Put(Record::from(instance))).collect();
    let commit = store.commit(store.head().generation, Transaction { region: Region::new("us-east-1"), changes });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(commit).unwrap();
}

fn states(running: &Running) -> Vec<InstanceState> {
    let world = running.store.snapshot().world(&Region::new("us-east-1"));
    world.tables().instances.values().map(|instance| instance.state).collect()
}

#[test]
fn what_the_host_reports_becomes_state() {
    let running = start(Host::Prompt);
    run(&*running.store, (1..=300).map(|n| instance(n, "000000000000")));
    eventually("all run", || states(&running).iter().all(|state| *state == InstanceState::Running));
}

#[test]
fn a_reset_ends_instances_first_and_leaves_other_accounts_alone() {
    let running = start(Host::Prompt);
    running.call_as(&signed("111122223333", "eu-west-1", "ec2"), &create_vpc(0));
    running.call(&create_vpc(0));
    run(&*running.store, [instance(1, "000000000000"), instance(2, "111122223333")]);
    let reset = |headers: &str| running.exchange(post("/_groundplane/reset", headers, "").as_bytes());
    let answer = reset("");
    assert!(
        answer.contains("\"account\":\"000000000000\"") && answer.contains("\"regions\":[\"us-east-1\"]"),
        "{answer}"
    );
    let snapshot = running.store.snapshot();
    let left = snapshot.world(&Region::new("us-east-1"));
    assert_eq!(left.tables().records().count(), 1, "the other account's instance");
    assert!(snapshot.world(&Region::new("eu-west-1")).tables().records().count() > 1);
    reset(&signed("111122223333", "us-east-1", "ec2"));
    assert!(running.store.snapshot().regions.is_empty(), "an account is emptied in all regions");
    assert_eq!(status(&reset("")), "200", "an empty account can be reset too");
    let vpcs = running.call("Action=DescribeVpcs&Version=2016-11-15");
    assert_eq!(element(&vpcs, "isDefault"), "true", "the next call is the account's first");
}

#[test]
fn a_reset_that_the_host_does_not_carry_out_fails_and_keeps_what_still_runs() {
    let running = start(Host::Silent);
    run(&*running.store, [instance(1, "000000000000")]);
    let answer = running.exchange(post("/_groundplane/reset", "", "").as_bytes());
    assert_eq!(status(&answer), "503", "{answer}");
    assert_eq!(states(&running), [InstanceState::ShuttingDown]);
}

#[test]
fn the_operator_sees_instances_and_counts() {
    use tower::ServiceExt;
    let running = start(Host::Prompt);
    running.call(&create_vpc(0));
    run(&*running.store, [instance(1, "000000000000")]);
    eventually("it runs", || states(&running) == [InstanceState::Running]);
    let ask = |path: &str| {
        let request = axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        let router = running.server.admin_router();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let body = runtime.block_on(async {
            let response = router.oneshot(request).await.unwrap();
            axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap()
        });
        serde_json::from_slice::<serde_json::Value>(&body).unwrap()
    };
    let instances = ask("/instances");
    assert_eq!(instances[0]["id"], "i-00000000000000001");
    assert_eq!((&instances[0]["name"], &instances[0]["state"]), (&"web 1".into(), &"running".into()));
    let status = ask("/status");
    let counts = &status["regions"]["us-east-1"];
    assert_eq!((&counts["vpcs"], &counts["instances"]["running"]), (&2.into(), &1.into()));
    assert_eq!((&status["counters"]["panics"], &status["counters"]["conflicts"]), (&0.into(), &0.into()));
}

#[test]
fn a_stopped_server_closes_its_listener() {
    let running = start(Host::Prompt);
    assert_eq!(status(&running.call(&create_vpc(0))), "200");
    running.stop();
}

#[test]
fn account_ids_are_as_the_model_has_them() {
    assert_eq!(AccountId::default().to_string(), gp_ec2::sigv4::DEFAULT_ACCOUNT);
}
