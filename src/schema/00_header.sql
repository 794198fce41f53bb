-- 00_header.sql
--
-- The install script of leadstream is made of the parts NN_topic.sql, joined
-- in the order of their names.  It is run by CREATE EXTENSION only, and
-- resolves every name that is not qualified in pg_catalog.

\echo Use "create extension leadstream" to load this file. \quit

set local search_path = pg_catalog, pg_temp;
