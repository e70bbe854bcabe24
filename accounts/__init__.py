"""Who a subject is, how they prove it, and for whom they may act. No HTTP and no OAuth in here."""
