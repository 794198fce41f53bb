/*-------------------------------------------------------------------------
 *
 * number_text.h
 *	  The one way to write a number in a rule.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_NUMBER_TEXT_H
#define LS_NUMBER_TEXT_H

/*
 * The canonical text of an unsigned number that the scanner accepted, or NULL
 * if that has more than RULE_MAX_NUMBER_DIGITS digits.
 */
extern char *ls_number_canonical(const char *text, int len);

#endif							/* LS_NUMBER_TEXT_H */
