import { Skeleton } from '@mantine/core'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import classes from './Boxes.module.css'

interface Props {
  title: string
  /** undefined = it is not there yet: a skeleton. */
  value: ReactNode | undefined
  /** Below the value, small. */
  note?: ReactNode
  /** Where a click leads. */
  href?: string
}

/** One figure with its name. */
export function Tile({ title, value, note, href }: Props) {
  const inside = (
    <>
      <div className={classes.tileTitle}>{title}</div>
      <div className={classes.tileValue}>{value ?? <Skeleton height={22} width={72} mt={6} />}</div>
      <div className={classes.tileNote}>{note}</div>
    </>
  )
  return href ? (
    <Link href={href} className={`pc-card ${classes.tile}`}>
      {inside}
    </Link>
  ) : (
    <div className={`pc-card ${classes.tile}`}>{inside}</div>
  )
}

/** Tiles side by side, as many as fit. */
export const Tiles = ({ children }: { children: ReactNode }) => <div className={classes.tiles}>{children}</div>
