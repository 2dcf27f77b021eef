//! Files that a server of calls gives to browsers: the page that calls it, and what belongs to it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

/// What a page may load, and from where: from this server alone, and nothing that is written in the page.
/// `media-src` and `worker-src` are for the sound; sockets are checked by the servers that they go to.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; media-src 'self' blob:; \
     object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
);

#[derive(Debug, Clone)]
struct File {
    content_type: HeaderValue,
    content: Bytes,
    tag: HeaderValue,
}

/// Files by their paths.
#[derive(Debug, Clone, Default)]
pub struct Files(HashMap<String, File>);

impl Files {
    /// Adds a file; false where the type is no header.
    pub fn add(&mut self, path: String, content_type: &str, content: Vec<u8>) -> bool {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        let (Ok(content_type), Ok(tag)) = (
            HeaderValue::from_str(content_type),
            HeaderValue::from_str(&tag),
        ) else {
            return false;
        };
        let content = Bytes::from(content);
        self.0.insert(
            path,
            File {
                content_type,
                content,
                tag,
            },
        );
        true
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The answer to a request; `None`: there is no such file.
    pub fn answer(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Option<Response<Bytes>> {
        let file = self.0.get(path)?;
        let is_known = headers.get(IF_NONE_MATCH).is_some_and(|it| *it == file.tag);
        let (status, content) = match *method {
            Method::GET | Method::HEAD if is_known => (StatusCode::NOT_MODIFIED, Bytes::new()),
            // The length of a HEAD's answer is hyper's matter.
            Method::GET | Method::HEAD => (StatusCode::OK, file.content.clone()),
            _ => (StatusCode::METHOD_NOT_ALLOWED, Bytes::new()),
        };
        let mut response = Response::new(content);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Some(response);
        }
        headers.insert(CONTENT_TYPE, file.content_type.clone());
        headers.insert(ETAG, file.tag.clone());
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(CONTENT_SECURITY_POLICY, POLICY);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        Some(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_given_once_and_then_known_by_its_tag() {
        let mut files = Files::default();
        assert!(files.add("/".to_owned(), "text/html", b"page".to_vec()));
        let none = HeaderMap::new();
        let first = files.answer(&Method::GET, "/", &none).unwrap();
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.body().as_ref(), b"page");
        let mut known = HeaderMap::new();
        known.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
        let second = files.answer(&Method::GET, "/", &known).unwrap();
        assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
        let posted = files.answer(&Method::POST, "/", &none).unwrap();
        assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert!(files.answer(&Method::GET, "/other", &none).is_none());
        assert!(!files.add("/".to_owned(), "text\n", Vec::new()));
    }
}
