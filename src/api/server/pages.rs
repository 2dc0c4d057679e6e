//! The body of a reply that is sent as it comes about.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Bytes, Frame};
use tokio::sync::mpsc;

/// The pages as they come; an error breaks the reply off.
pub(super) struct Pages<E>(pub(super) mpsc::Receiver<Result<Bytes, E>>);

impl<E> hyper::body::Body for Pages<E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        self.0.poll_recv(context).map(|page| page.map(|page| page.map(Frame::data)))
    }
}
