/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Differences between PostgreSQL majors, each with its reason.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_COMPAT_H
#define LS_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "leadstream needs PostgreSQL 15 or later"
#endif

/* 16 took the access to varlena headers out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/*
 * 16 made type input soft (escontext).  Before, there is nothing to be soft
 * with: the context is NULL and an error is raised.
 */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#define ls_ereturn(escontext, value, ...) \
	ereturn(escontext, value, __VA_ARGS__)
#define LS_FCINFO_ESCONTEXT(fcinfo)		((fcinfo)->context)
#else
#define ls_ereturn(escontext, value, ...) \
	do { \
		(void) (escontext); \
		ereport(ERROR, __VA_ARGS__); \
		return value; \
	} while (0)
#define LS_FCINFO_ESCONTEXT(fcinfo)		NULL
#endif

/*
 * 16 keeps setting values and their extras in an own memory context and
 * exports its allocator; before, it is plain malloc.
 */
#if PG_VERSION_NUM >= 160000
#define ls_guc_malloc(size)		guc_malloc(LOG, size)
#else
#define ls_guc_malloc(size)		malloc(size)
#endif

/*
 * 17 brought RestrictSearchPath(), to be called inside a new GUC nest level
 * (utils/guc.h).  Before, the same by hand.
 */
#if PG_VERSION_NUM >= 170000
#define ls_restrict_search_path()	RestrictSearchPath()
#else
#define ls_restrict_search_path() \
	((void) set_config_option("search_path", "pg_catalog, pg_temp", \
							  PGC_USERSET, PGC_S_SESSION, \
							  GUC_ACTION_SAVE, true, 0, false))
#endif

/* 17 put the virtual transaction id of a lock's holder into one field. */
#if PG_VERSION_NUM >= 170000
#define LS_LOCK_VXID(dst, lock)	((dst) = (lock)->vxid)
#else
#define LS_LOCK_VXID(dst, lock) \
	((dst).backendId = (lock)->backend, \
	 (dst).localTransactionId = (lock)->lxid)
#endif

/* In it, 17 calls the backend by its place among the processes. */
#if PG_VERSION_NUM >= 170000
#define LS_VXID_BACKEND(vxid)	((vxid).procNumber)
#else
#define LS_VXID_BACKEND(vxid)	((vxid).backendId)
#endif

/*
 * 18 spells it pg_noreturn, and takes it only in front of a declaration, where
 * the attribute of before is as good.
 */
#if PG_VERSION_NUM < 180000
#define pg_noreturn				pg_attribute_noreturn()
#endif

/* 18 brought generated columns that are not stored in the row. */
#if PG_VERSION_NUM >= 180000
#define LS_ATTRIBUTE_IS_VIRTUAL(att) \
	((att)->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
#else
#define LS_ATTRIBUTE_IS_VIRTUAL(att)	false
#endif

/* Such a column has to be replaced by what it means (rewrite/rewriteHandler.h). */
#if PG_VERSION_NUM >= 180000
#define ls_expand_virtual(node, rel, rtindex) \
	expand_generated_columns_in_expr(node, rel, rtindex)
#else
#define ls_expand_virtual(node, rel, rtindex)	(node)
#endif

/* 16 gave make_range() an error context; ours never fails. */
#if PG_VERSION_NUM >= 160000
#define ls_make_range(typcache, lower, upper, empty) \
	make_range(typcache, lower, upper, empty, NULL)
#else
#define ls_make_range(typcache, lower, upper, empty) \
	make_range(typcache, lower, upper, empty)
#endif

/* 16 lets columns be missing in one of the row types; ours may not. */
#if PG_VERSION_NUM >= 160000
#define ls_build_attrmap_if_req(indesc, outdesc) \
	build_attrmap_by_name_if_req(indesc, outdesc, false)
#else
#define ls_build_attrmap_if_req(indesc, outdesc) \
	build_attrmap_by_name_if_req(indesc, outdesc)
#endif

/* 16 has one function for the rights on all kinds of objects (utils/acl.h). */
#if PG_VERSION_NUM >= 160000
#define ls_may_execute(function) \
	(object_aclcheck(ProcedureRelationId, function, GetUserId(), ACL_EXECUTE) == ACLCHECK_OK)
#else
#define ls_may_execute(function) \
	(pg_proc_aclcheck(function, GetUserId(), ACL_EXECUTE) == ACLCHECK_OK)
#endif

/* 18 counts index searches for EXPLAIN ANALYZE, if given where. */
#if PG_VERSION_NUM >= 180000
#define ls_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan(heap, index, snapshot, NULL, nkeys, 0)
#else
#define ls_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan(heap, index, snapshot, nkeys, 0)
#endif

/* 17 put the backend's virtual transaction id into one field too. */
#if PG_VERSION_NUM >= 170000
#define LS_MY_LXID				(MyProc->vxid.lxid)
#else
#define LS_MY_LXID				(MyProc->lxid)
#endif

/* 16 calls the number of a relation's file by another name. */
#if PG_VERSION_NUM >= 160000
#define LS_RELATION_FILE(rel)	((rel)->rd_locator.relNumber)
#else
#define LS_RELATION_FILE(rel)	((rel)->rd_node.relNode)
#endif

/* 16 can leave out indexes that summarize, which a new row never does. */
#if PG_VERSION_NUM >= 160000
#define ls_insert_index_tuples(target, slot, estate, meets, met, arbiters) \
	ExecInsertIndexTuples(target, slot, estate, false, meets, met, arbiters, false)
#else
#define ls_insert_index_tuples(target, slot, estate, meets, met, arbiters) \
	ExecInsertIndexTuples(target, slot, estate, false, meets, met, arbiters)
#endif

/* 16 says which of the indexes an update wants entries in (access/tableam.h). */
#if PG_VERSION_NUM >= 160000
#define LS_UPDATED_INDEXES			TU_UpdateIndexes
#define LS_HAS_NEW_ENTRIES(indexes)	((indexes) != TU_None)
#define ls_update_index_tuples(target, slot, estate, indexes) \
	ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL, \
						  (indexes) == TU_Summarizing)
#else
#define LS_UPDATED_INDEXES			bool
#define LS_HAS_NEW_ENTRIES(indexes)	(indexes)
#define ls_update_index_tuples(target, slot, estate, indexes) \
	ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL)
#endif

/* 18 has other constraints among those that rows are checked for. */
#if PG_VERSION_NUM >= 180000
#define LS_CHECKS(target)			((target)->ri_CheckConstraintExprs)
#define LS_CHECK_IS_ENFORCED(check)	((check)->ccenforced)
#else
#define LS_CHECKS(target)			((target)->ri_ConstraintExprs)
#define LS_CHECK_IS_ENFORCED(check)	true
#endif

/* 17 asks for locks at least as strong as well, if told to (storage/lock.h). */
#if PG_VERSION_NUM >= 170000
#define LS_LOCK_IS_HELD(tag, mode)	LockHeldByMe(tag, mode, false)
#else
#define LS_LOCK_IS_HELD(tag, mode)	LockHeldByMe(tag, mode)
#endif

#endif							/* LS_COMPAT_H */
