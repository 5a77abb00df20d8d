//! Listings: filtered, in the order of their keys, page by page.
//!
//! A token names the last key that was given out, so it stays right when items come and go between two pages.
//! Source: EC2 API reference, "Pagination".

use crate::Context;
use crate::filter::{Filter, Filters, Tagged};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gp_ec2::{ApiError, meta, shapes};
use std::str::FromStr;

/// The part of a Describe request that all of them share.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    pub filters: &'a [shapes::Filter],
    pub max_results: Option<i64>,
    pub next_token: &'a Option<String>,
    /// Whether the caller named items by id, and that parameter's name in AWS's messages.
    pub ids: (bool, &'static str),
}

impl Context<'_> {
    /// The items that the query asks for, ordered by `key`, and the token of the next page if there is one. Without
    /// `MaxResults` all items are one page.
    ///
    /// # Errors
    /// `InvalidParameterValue` for an unknown filter or a bad page size; `InvalidParameterCombination` for ids
    /// together with a page size; `InvalidNextToken` for a token that this action did not give.
    pub fn list<T: Tagged>(
        &self,
        items: impl IntoIterator<Item = T>,
        query: Query<'_>,
        table: &'static [Filter<T>],
        key: impl Fn(&T) -> String,
    ) -> Result<(Vec<T>, Option<String>), ApiError> {
        let size = self.page_size(&query)?;
        let after = query.next_token.as_deref().filter(|t| !t.is_empty()).map(|t| self.read_token(t)).transpose()?;
        let filters = Filters::new(self.action, query.filters, table)?;
        let fits = |(key, item): &(String, T)| after.as_ref().is_none_or(|after| key > after) && filters.fit(item);
        let mut items: Vec<_> = items.into_iter().map(|item| (key(&item), item)).filter(fits).collect();
        items.sort_by(|a, b| a.0.cmp(&b.0));
        let more = items.len() > size;
        items.truncate(size);
        let token = items.last().filter(|_| more).map(|(key, _)| self.write_token(key));
        Ok((items.into_iter().map(|(_, item)| item).collect(), token))
    }

    /// As [`Context::list`], for items that come in the order of their keys: of those behind the page only as many are
    /// looked at as it takes to know that there are more. `items_after` gives what comes after an id.
    ///
    /// # Errors
    /// As [`Context::list`].
    pub fn list_in_order<T: Tagged, I: FromStr, Items: Iterator<Item = T>>(
        &self,
        query: Query<'_>,
        table: &'static [Filter<T>],
        key: impl Fn(&T) -> String,
        items_after: impl FnOnce(Option<I>) -> Items,
    ) -> Result<(Vec<T>, Option<String>), ApiError> {
        let size = self.page_size(&query)?;
        let token = query.next_token.as_deref().filter(|token| !token.is_empty());
        let after = token.map(|token| self.read_token(token)?.parse().map_err(|_| invalid_token(token))).transpose()?;
        let filters = Filters::new(self.action, query.filters, table)?;
        let mut items = items_after(after).filter(|item| filters.fit(item));
        let page: Vec<T> = items.by_ref().take(size).collect();
        let more = page.len() == size && items.next().is_some();
        let token = page.last().filter(|_| more).map(|last| self.write_token(&key(last)));
        Ok((page, token))
    }

    fn page_size(&self, query: &Query<'_>) -> Result<usize, ApiError> {
        let Some(max) = query.max_results else { return Ok(usize::MAX) };
        let (ids_given, ids_name) = query.ids;
        if ids_given {
            let message = format!("The parameter {ids_name} cannot be used with the parameter maxResults");
            return Err(ApiError::client("InvalidParameterCombination", message));
        }
        let bounds = meta::meta(self.action).and_then(|action| action.page);
        let (least, most) = bounds.map_or((1, 1000), |page| (page.min, page.max));
        let bad = |why: String| ApiError::invalid_value(format_args!(" {max} "), "MaxResults", why);
        if max < least {
            return Err(bad(format!("Expecting a value greater than {least}.")));
        }
        if max > most {
            return Err(bad(format!("Expecting a value less than {most}.")));
        }
        usize::try_from(max).map_err(|_| bad(String::new()))
    }

    fn write_token(&self, last: &str) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}/{last}", self.action))
    }

    fn read_token(&self, token: &str) -> Result<String, ApiError> {
        let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let last = text.as_deref().and_then(|text| text.strip_prefix(self.action)?.strip_prefix('/'));
        last.map(str::to_owned).ok_or_else(|| invalid_token(token))
    }
}

fn invalid_token(token: &str) -> ApiError {
    ApiError::client("InvalidNextToken", format!("The token '{token}' is invalid"))
}
