//! Another dataset than the users, for tests: orders with columns of every type, and with a file that browsers do not show.

use datalake_core::dataset::Dataset;

/// Orders with an invoice.
pub(crate) fn orders() -> Dataset {
    let text = "title = 'Orders'\nentity = 'order'\nsource.key = 'src-data/{order_id}.csv'\n[columns]\ncustomer = 'string'\nordered = 'date'\n\
                quantity = 'integer'\ntotal = 'number'\nstate = { type = 'string', enum = ['new', 'paid', 'sent'] }\ngift = 'boolean'\n\
                paid_at = { type = 'datetime', required = false }\ndensity = { type = 'number', title = 'OD 600' }\n\
                [files.invoice]\nkey = 'src-data/{order_id}.pdf'\ntypes = ['application/pdf']\n[derived]\nordered_year = 'year(ordered)'\n";
    Dataset::parse(text).unwrap()
}
