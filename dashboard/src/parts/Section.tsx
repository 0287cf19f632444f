import { Title } from '@mantine/core'
import { type ReactNode, useId } from 'react'
import classes from './Page.module.css'

interface Props {
  title: string
  /** Links or small buttons at the right of the heading. */
  actions?: ReactNode
  children: ReactNode
}

/** A part of a page under a heading of its own. */
export function Section({ title, actions, children }: Props) {
  const id = useId()
  return (
    <section className={classes.section} aria-labelledby={id}>
      <div className={classes.sectionHead}>
        <Title order={2} id={id}>
          {title}
        </Title>
        {actions}
      </div>
      {children}
    </section>
  )
}
