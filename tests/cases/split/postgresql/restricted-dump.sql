--
-- PostgreSQL database dump
--

\restrict Zm9vYmFyYmF6Zm9vYmFyYmF6

SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);

--
-- Name: t; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.t (
    a integer
);

COPY public.t (a) FROM stdin;
1
\.

\unrestrict Zm9vYmFyYmF6Zm9vYmFyYmF6

