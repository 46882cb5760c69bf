/// Passes the port [`EventItems`](crate::EventItems) to the macro `$callback`, in the grammar of [`roadcast_ports::table`].
///
/// The cost model meters it. The caller imports [`EventItems`](crate::EventItems), [`LogItem`](crate::LogItem),
/// [`ItemRange`](crate::ItemRange) and [`ItemPage`](crate::ItemPage).
#[macro_export]
macro_rules! event_items_port {
    ($callback:ident) => {
        $callback! {
            EventItems {
                one put_new(item: &LogItem) -> ();
                one page(range: &ItemRange<'_>) -> ItemPage;
            }
        }
    };
}
