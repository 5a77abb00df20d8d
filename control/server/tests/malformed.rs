//! Whatever bytes arrive: AWS's error or a clean close, nothing stored, and the server stays up.

mod support;

use std::io::{Read, Write};
use std::time::{Duration, Instant};
use support::{Host, PATIENCE, element, post, quick, read_all, start, start_with, status};

/// Would store something if it were obeyed.
const CREATE: &str = "Action=CreateVpc&Version=2016-11-15&CidrBlock=10.0.0.0/16";
/// Never stores anything.
const ASK: &str = "Action=GetCallerIdentity&Version=2011-06-15";

#[test]
fn bytes_that_are_not_http_are_refused_or_cut_off() {
    let running = start(Host::Prompt);
    let before = running.generation();
    let long_line = [b"GET /".as_slice(), &[b'a'; 400 << 10], b" HTTP/1.1\r\n\r\n"].concat();
    let headers = "x: y\r\n".repeat(200);
    let many_headers = format!("POST / HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    let garbage: Vec<u8> = (0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for bytes in [
        b"".as_slice(),
        b"\r\n\r\n\r\n",
        b"\0\0\0\0\0\0\0\0",
        b"hello?\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/9.9\r\nhost: x\r\n\r\n",
        b"POST  / HTTP/1.1\r\n\r\n",
        b"P\xc3\x96ST / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost x\r\n\r\n",
        b"POST / HTTP/1.1\r\nho st: x\r\n\r\n",
        &long_line,
        many_headers.as_bytes(),
        &garbage,
    ] {
        let answer = running.exchange(bytes);
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4");
        assert!(refused, "{:?} was answered {answer:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(60)]));
        running.check_unharmed(before);
    }
}

#[test]
fn a_wrong_length_is_never_guessed_at() {
    let running = start(Host::Prompt);
    let before = running.generation();
    for lines in [
        "content-length: -1",
        "content-length: ten",
        "content-length: 99999999999999999999999",
        "content-length: 10\r\ncontent-length: 20",
        "content-length: 10\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked, gzip",
        "transfer-encoding: nonsense",
    ] {
        let answer = running.exchange(format!("POST / HTTP/1.1\r\nhost: x\r\n{lines}\r\n\r\n{CREATE}").as_bytes());
        assert!(answer.is_empty() || status(&answer).starts_with('4'), "{lines}: {answer}");
        running.check_unharmed(before);
    }
    // Longer than what comes: broken off.
    let length = CREATE.len() + 1;
    let longer = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{CREATE}");
    let answer = running.exchange(longer.as_bytes());
    assert!(answer.is_empty() || element(&answer, "Code") == "IncompleteBody", "{answer}");
    // Shorter than what comes: the rest is no request.
    let length = ASK.len();
    let shorter = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{ASK}&more=of&it");
    let answer = running.exchange(shorter.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("HTTP/1.1 400"), "{answer}");
    running.check_unharmed(before);
}

#[test]
fn half_sent_requests_end_in_time() {
    let running = start(Host::Prompt);
    let before = running.generation();
    let started = Instant::now();
    for part in ["", "P", "POST / HTTP/1.1\r\nhost: x\r\ncontent-le"] {
        let mut stream = running.connect();
        stream.write_all(part.as_bytes()).unwrap();
        let answer = read_all(&mut stream);
        assert!(answer.is_empty() || status(&answer) == "408", "{answer}");
    }
    let mut stream = running.connect();
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 400\r\n\r\n";
    stream.write_all(format!("{head}{CREATE}").as_bytes()).unwrap();
    let answer = read_all(&mut stream);
    assert_eq!((status(&answer), element(&answer, "Code")), ("408", "RequestTimeout"));
    assert!(started.elapsed() < PATIENCE);
    running.check_unharmed(before);
}

#[test]
fn a_request_that_trickles_in_does_not_outlast_its_time() {
    let running = start(Host::Prompt);
    let mut stream = running.connect();
    stream.write_all(b"POST / HTTP/1.1\r\n").unwrap();
    let started = Instant::now();
    // A byte often enough to look alive.
    while stream.write_all(b"x").is_ok() && started.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(started.elapsed() < Duration::from_secs(5), "it was listened to for {:?}", started.elapsed());
    running.check_unharmed(running.generation());
}

#[test]
fn a_client_that_reads_no_answers_loses_its_place() {
    let mut settings = quick();
    settings.limits.connections = 1;
    let running = start_with(Host::Prompt, settings, std::sync::Arc::new(gp_store::Memory::new()));
    let request = post("/", "", ASK).replace("connection: close\r\n", "");
    let mut deaf = running.connect();
    deaf.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    // Until neither side's buffers take any more, or the server has had enough.
    while deaf.write_all(request.repeat(1000).as_bytes()).is_ok() {}
    let mut next = running.connect();
    next.write_all(post("/", "", ASK).as_bytes()).unwrap();
    assert_eq!(status(&read_all(&mut next)), "200");
    drop(deaf);
}

#[test]
fn a_body_that_is_too_long_gets_an_answer() {
    let running = start(Host::Prompt);
    let before = running.generation();
    let pad = "x".repeat(1 << 20);
    let long = running.call(&format!("{CREATE}&Pad={pad}"));
    assert_eq!((status(&long), element(&long, "Code")), ("413", "RequestEntityTooLarge"));
    let chunk = format!("{:x}\r\n{pad}\r\n", pad.len());
    let chunked = format!("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n");
    assert_eq!(status(&running.exchange(chunked.as_bytes())), "413");
    // Announced, and never sent.
    let mut stream = running.connect();
    stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n").unwrap();
    assert_eq!(status(&read_all(&mut stream)), "413");
    running.check_unharmed(before);
}

#[test]
fn chunked_bodies_are_read_and_broken_ones_refused() {
    let running = start(Host::Prompt);
    let head = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let (one, two) = ASK.split_at(9);
    let good = format!("{head}{:x}\r\n{one}\r\n{:x};ext=1\r\n{two}\r\n0\r\ntrailer: t\r\n\r\n", one.len(), two.len());
    assert_eq!(status(&running.exchange(good.as_bytes())), "200");
    let before = running.generation();
    let (one, two) = CREATE.split_at(9);
    for broken in [
        format!("{head}zz\r\n{one}\r\n"),
        format!("{head}{:x}\r\n{one}{two}\r\n0\r\n\r\n", one.len()),
        format!("{head}ffffffffffffffffffff\r\n{one}"),
        format!("{head}{:x}\r\n{CREATE}\r\n", CREATE.len()),
        format!("{head}{:x}\r\n{CREATE}\r\n0", CREATE.len()),
    ] {
        let answer = running.exchange(broken.as_bytes());
        assert!(answer.is_empty() || status(&answer).starts_with('4'), "{broken}: {answer}");
        running.check_unharmed(before);
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let running = start(Host::Prompt);
    let request = |action: &str| {
        let form = format!("Action={action}&Version=2016-11-15");
        format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{form}", form.len())
    };
    let three = ["GetCallerIdentity", "NoSuchThing", "DescribeVpcs"].map(request).concat();
    let answer = running.exchange(three.as_bytes());
    let places = ["<GetCallerIdentityResponse", "<Code>InvalidAction", "<DescribeVpcsResponse"].map(|p| answer.find(p));
    assert!(places[0].is_some() && places.is_sorted(), "{answer}");
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let running = start(Host::Prompt);
    let mut stream = running.connect();
    for _ in 0..3 {
        stream.write_all(post("/", "", ASK).replace("connection: close\r\n", "").as_bytes()).unwrap();
        let mut answer = String::new();
        while !answer.ends_with("</GetCallerIdentityResponse>") {
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).unwrap();
            assert!(read > 0, "closed after {answer}");
            answer.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        }
    }
    // But not for ever.
    assert_eq!(read_all(&mut stream), "");
}

#[test]
fn paths_methods_and_types_that_are_not_served_say_so() {
    let running = start(Host::Prompt);
    let before = running.generation();
    let request = |line: &str, headers: &str| {
        let length = CREATE.len();
        let head = format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}");
        format!("{head}content-length: {length}\r\n\r\n{CREATE}")
    };
    for (line, headers, want, code) in [
        ("POST /nowhere", "", "404", "NotFound"),
        ("POST //", "", "404", "NotFound"),
        ("POST /_groundplane", "", "404", "NotFound"),
        ("PUT /", "", "405", "MethodNotAllowed"),
        ("DELETE /", "", "405", "MethodNotAllowed"),
        ("GET /_groundplane/reset", "", "405", "MethodNotAllowed"),
        ("POST /", "content-type: application/json\r\n", "415", "UnsupportedMediaType"),
        ("POST /", "content-type: multipart/form-data; boundary=x\r\n", "415", "UnsupportedMediaType"),
        ("POST /", "origin: http://evil.example\r\n", "403", "AccessDenied"),
        ("POST /", "sec-fetch-site: cross-site\r\n", "403", "AccessDenied"),
        ("POST /_groundplane/reset", "origin: null\r\n", "403", "AccessDenied"),
    ] {
        let answer = running.exchange(request(line, headers).as_bytes());
        assert_eq!((status(&answer), element(&answer, "Code")), (want, code), "{line} {headers}");
        running.check_unharmed(before);
    }
}

#[test]
fn forms_that_are_not_forms_get_aws_errors() {
    let running = start(Host::Prompt);
    let before = running.generation();
    for (form, code) in [
        (b"".as_slice(), "MissingAction"),
        (b"&&&", "MissingAction"),
        (b"Action=", "MissingAction"),
        (b"Action=NoSuchThing", "InvalidAction"),
        (b"Action=CreateVpc&CidrBlock=%zz", "MalformedQueryString"),
        (b"Action=CreateVpc&CidrBlock=\xff\xfe", "MalformedQueryString"),
        (b"Action=CreateVpc&CidrBlock=10.0.0.0/16&CidrBlock=10.1.0.0/16", "InvalidQueryParameter"),
        (b"Action=CreateVpc&CidrBlock=10.0.0.0/16&Nonsense=1", "UnknownParameter"),
        (b"Action=CreateVpc&Action=DeleteVpc", "InvalidQueryParameter"),
    ] {
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", form.len());
        let answer = running.exchange(&[head.as_bytes(), form].concat());
        assert_eq!(element(&answer, "Code"), code, "{}", String::from_utf8_lossy(form));
        assert!(answer.contains("content-type: text/xml;charset=UTF-8\r\n"), "{answer}");
        running.check_unharmed(before);
    }
    // Headers needn't be text.
    let [before_header, after_header] = ["POST / HTTP/1.1\r\nhost: x\r\nauthorization: ", "\r\nconnection: close\r\n"];
    let rest = format!("{after_header}content-length: {}\r\n\r\n{ASK}", ASK.len());
    let odd = [before_header.as_bytes(), b"\xff\xfe", rest.as_bytes()].concat();
    assert_eq!(status(&running.exchange(&odd)), "200");
}

#[test]
fn connections_beyond_the_limit_wait_for_a_place() {
    let mut settings = quick();
    settings.limits.connections = 2;
    settings.limits.head_wait = Duration::from_secs(2);
    let running = start_with(Host::Prompt, settings, std::sync::Arc::new(gp_store::Memory::new()));
    let idle = [running.connect(), running.connect()];
    let mut third = running.connect();
    third.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    third.write_all(post("/", "", ASK).as_bytes()).unwrap();
    assert!(third.read(&mut [0; 1]).is_err(), "answered beyond the limit");
    drop(idle);
    third.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(status(&read_all(&mut third)), "200");
}
