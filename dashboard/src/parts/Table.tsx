import { Checkbox, Skeleton } from '@mantine/core'
import { IconChevronDown, IconChevronUp } from '@tabler/icons-react'
import { type MouseEvent, type ReactNode, useMemo, useState } from 'react'
import { Link, useLocation } from 'wouter'
import type { ApiError } from '~/api/error'
import { ErrorBox } from './ErrorBox'
import classes from './Table.module.css'

export interface Column<R> {
  key: string
  title: string
  cell: (row: R) => ReactNode
  /** Numbers stand right. */
  align?: 'right'
  /** CSS width, such as 120 or '20%'; others share what is left. */
  width?: number | string
  /** Shown from this width of the screen up: sm 768, md 992, lg 1200 px. */
  from?: 'sm' | 'md' | 'lg'
  /** The whole text of a cell that may be cut off, for the hover. */
  text?: (row: R) => string
  /** What rows are sorted by when the heading is clicked; only for lists that are here as a whole. */
  sort?: (row: R) => string | number
  /** Its cell carries the row's link; else the first column does. */
  main?: boolean
}

export type Id = string | number

interface Props<R> {
  /** What the table shows, for who cannot see it: "Jobs". */
  label: string
  columns: Column<R>[]
  /** undefined = they are not there yet: skeletons. */
  rows: R[] | undefined
  id: (row: R) => Id
  /** Where a row leads: a real link in its main cell, and a click anywhere on it. */
  href?: (row: R) => string
  /** What stands there without rows: an <Empty>. */
  empty?: ReactNode
  /** Instead of the rows when there are none. */
  error?: ApiError
  /** The rows that are chosen, for `bulk`; with it each row has a box. */
  chosen?: ReadonlySet<Id>
  onChoose?: (chosen: ReadonlySet<Id>) => void
  /** Buttons for the rows that are chosen: they lie over the heading while there are any. */
  bulk?: (rows: R[]) => ReactNode
  /** How a row is called, for its box: "job 17". */
  name?: (row: R) => string
  /** Rows in the skeleton. */
  expected?: number
  /** The most height, in CSS; the table scrolls within itself. */
  height?: string
  /** What stands below columns, by their keys: sums of all rows. */
  sums?: Record<string, ReactNode>
  /** The rows are former ones while others are on their way. */
  stale?: boolean
}

/** Rows with a heading that stays, links, choice, and a scroll of its own on narrow screens. Paging is <Pager> below it. */
export function Table<R>(props: Props<R>) {
  const { label, columns, rows, id, href, name, empty, error, chosen, onChoose, bulk, height, stale, expected = 8 } = props
  const [sorted, setSorted] = useState<{ key: string; down: boolean }>()
  const shown = useMemo(() => arranged(rows, columns, sorted), [rows, columns, sorted])
  // Many rows are much to render: not again for what happens around them, where a page gives the same functions each time.
  const body = useMemo(() => {
    const pick = (row: R, on: boolean) => {
      const next = new Set(chosen)
      if (on) next.add(id(row))
      else next.delete(id(row))
      onChoose?.(next)
    }
    return shown?.map((row) => (
      <Row key={id(row)} row={row} columns={columns} href={href?.(row)} choice={onChoose && { on: chosen?.has(id(row)) ?? false, name: name?.(row) ?? String(id(row)), set: (on) => pick(row, on) }} />
    ))
  }, [shown, columns, id, href, name, chosen, onChoose])
  if (error && !rows) return <ErrorBox error={error} />
  if (rows?.length === 0 && empty) return <div className="pc-card">{empty}</div>
  const picked = shown?.filter((row) => chosen?.has(id(row))) ?? []
  const all = Boolean(shown?.length) && picked.length === shown?.length
  return (
    <div className={`pc-card ${classes.frame}`} aria-busy={stale || undefined} data-stale={stale || undefined} data-bulk={(bulk && picked.length > 0) || undefined}>
      {bulk && picked.length > 0 && (
        <div className={classes.bulk} role="toolbar" aria-label={`${picked.length} chosen`}>
          <span>{picked.length} chosen</span>
          {bulk(picked)}
        </div>
      )}
      {/* It scrolls, so the keyboard must reach it. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div className={classes.scroll} style={{ maxHeight: height }} tabIndex={0} role="group" aria-label={label}>
        <table className={classes.table} aria-label={label}>
          <thead>
            <tr>
              {onChoose && (
                <th className={classes.box}>
                  <Checkbox size="xs" aria-label="Choose all of this page" checked={all} indeterminate={picked.length > 0 && !all} onChange={(event) => onChoose(new Set(event.currentTarget.checked ? shown?.map(id) : []))} />
                </th>
              )}
              {columns.map((one) => (
                <Heading key={one.key} column={one} sorted={sorted} onSort={setSorted} />
              ))}
            </tr>
          </thead>
          <tbody>
            {body}
            {!shown && Array.from({ length: expected }, (_, at) => <Waiting key={at} columns={columns} box={Boolean(onChoose)} />)}
          </tbody>
          {props.sums && shown && (
            <tfoot>
              <tr>
                {onChoose && <td className={classes.box} />}
                {columns.map((one) => (
                  <td key={one.key} data-align={one.align} data-from={one.from}>
                    {props.sums?.[one.key]}
                  </td>
                ))}
              </tr>
            </tfoot>
          )}
        </table>
      </div>
    </div>
  )
}

function arranged<R>(rows: R[] | undefined, columns: Column<R>[], sorted: { key: string; down: boolean } | undefined): R[] | undefined {
  const by = columns.find((one) => one.key === sorted?.key)?.sort
  if (!rows || !by || !sorted) return rows
  const sign = sorted.down ? -1 : 1
  return [...rows].sort((a, b) => {
    const [x, y] = [by(a), by(b)]
    return sign * (typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true }))
  })
}

interface HeadingProps<R> {
  column: Column<R>
  sorted: { key: string; down: boolean } | undefined
  onSort: (by: { key: string; down: boolean }) => void
}

function Heading<R>({ column, sorted, onSort }: HeadingProps<R>) {
  const here = sorted?.key === column.key ? sorted : undefined
  const Arrow = here?.down ? IconChevronDown : IconChevronUp
  return (
    <th scope="col" data-align={column.align} data-from={column.from} style={{ width: column.width }} aria-sort={here ? (here.down ? 'descending' : 'ascending') : undefined}>
      {column.sort ? (
        <button type="button" className={classes.sort} onClick={() => onSort({ key: column.key, down: here ? !here.down : false })}>
          {column.title}
          {here && <Arrow size={12} aria-hidden />}
        </button>
      ) : (
        column.title
      )}
    </th>
  )
}

interface RowProps<R> {
  row: R
  columns: Column<R>[]
  href: string | undefined
  choice: { on: boolean; name: string; set: (on: boolean) => void } | undefined
}

function Row<R>({ row, columns, href, choice }: RowProps<R>) {
  const [, go] = useLocation()
  const main = columns.find((one) => one.main) ?? columns[0]
  // The link in the main cell is what keyboards and screen readers use; a click elsewhere on the row is only a larger target for it.
  const click = (event: MouseEvent<HTMLTableRowElement>) => {
    if (!href || event.defaultPrevented || getSelection()?.isCollapsed === false) return
    if ((event.target as Element).closest('a, button, input, label, [role=menu], [role=menuitem]')) return
    if (event.ctrlKey || event.metaKey) window.open(href, '_blank', 'noopener')
    else go(href)
  }
  return (
    <tr onClick={click} data-link={href ? true : undefined} data-chosen={choice?.on || undefined}>
      {choice && (
        <td className={classes.box}>
          <Checkbox size="xs" aria-label={`Choose ${choice.name}`} checked={choice.on} onChange={(event) => choice.set(event.currentTarget.checked)} />
        </td>
      )}
      {columns.map((one) => (
        <td key={one.key} data-align={one.align} data-from={one.from} title={one.text?.(row)}>
          {href && one === main ? (
            <Link href={href} className={classes.link}>
              {one.cell(row)}
            </Link>
          ) : (
            one.cell(row)
          )}
        </td>
      ))}
    </tr>
  )
}

function Waiting<R>({ columns, box }: { columns: Column<R>[]; box: boolean }) {
  return (
    <tr>
      {box && <td className={classes.box} />}
      {columns.map((one) => (
        <td key={one.key} data-from={one.from}>
          <Skeleton height={10} my={5} width="70%" ml={one.align === 'right' ? 'auto' : undefined} />
        </td>
      ))}
    </tr>
  )
}
