"""Applying for an account: what each kind needs, what is still awaited, and issuing (Decree 69/2024
Art. 7 and 10 to 13).

An application waits for evidence: the register's word always, a visit to a desk for level 02, the
other legal representatives' agreement for an organisation, a document where the register does not
state the tie between a child or ward and the applicant. When nothing is awaited any more, or when
something stands against it, it is ready and an officer decides. Nobody gets an account without an
officer's decision.
"""
