//! Replies and errors as the documents that EC2 and STS answer with.

use crate::request::Service;
use crate::xml::Xml;
use crate::{ApiError, Reply, meta};

const EC2_NS: &str = r#" xmlns="http://ec2.amazonaws.com/doc/2016-11-15/""#;
const STS_NS: &str = r#" xmlns="https://sts.amazonaws.com/doc/2011-06-15/""#;

/// The document that answers a request. The reply's action decides between EC2's form and STS's.
pub fn encode_reply(reply: &Reply, request_id: &str) -> String {
    let name = reply.name();
    let response = format!("{name}Response");
    let mut x = Xml::document();
    match meta::meta(name).map(|action| action.service) {
        Some(Service::Sts) => x.element(&response, STS_NS, |x| {
            x.element(&format!("{name}Result"), "", |x| reply.encode(x));
            x.element("ResponseMetadata", "", |x| x.text("RequestId", request_id));
        }),
        _ => x.element(&response, EC2_NS, |x| {
            x.text("requestId", request_id);
            reply.encode(x);
        }),
    }
    x.finish()
}

/// The document that refuses an EC2 request.
pub fn encode_error(error: &ApiError, request_id: &str) -> String {
    encode_error_for(Service::Ec2, error, request_id)
}

/// The document that refuses a request of `service`.
pub fn encode_error_for(service: Service, error: &ApiError, request_id: &str) -> String {
    let mut x = Xml::document();
    let code_and_message = |x: &mut Xml| {
        x.text("Code", &error.code);
        x.text("Message", &error.message);
    };
    match service {
        Service::Ec2 => x.element("Response", "", |x| {
            x.element("Errors", "", |x| x.element("Error", "", code_and_message));
            x.text("RequestID", request_id);
        }),
        Service::Sts => x.element("ErrorResponse", STS_NS, |x| {
            x.element("Error", "", |x| {
                x.text("Type", if error.is_server_fault() { "Receiver" } else { "Sender" });
                code_and_message(x);
            });
            x.text("RequestId", request_id);
        }),
    }
    x.finish()
}
