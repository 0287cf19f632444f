import { Title } from '@mantine/core'
import { type ReactNode, useEffect } from 'react'
import { Brand } from './brand'
import classes from './door.module.css'

interface Props {
  title: string
  /** A sentence below the title. */
  about?: ReactNode
  children: ReactNode
  /** Below the card: other ways. */
  foot?: ReactNode
}

/** The frame of pages for strangers. */
export function Door({ title, about, children, foot }: Props) {
  useEffect(() => {
    document.title = `${title} · PiCloud`
  }, [title])
  return (
    <main className={classes.door}>
      <Brand />
      <div className={`pc-card ${classes.card}`}>
        <Title order={1}>{title}</Title>
        {about && <p className={classes.about}>{about}</p>}
        {children}
      </div>
      {foot && <div className={classes.foot}>{foot}</div>}
    </main>
  )
}
