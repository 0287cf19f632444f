import { Anchor, Breadcrumbs, Group, Title } from '@mantine/core'
import { type ReactNode, useEffect } from 'react'
import { Link } from 'wouter'
import classes from './Page.module.css'

interface Props {
  /** The name of the page: its heading, and what the browser's tab says. */
  title: string
  /** Where it lies, outermost first; the page itself is not named. */
  crumbs?: { title: string; href: string }[]
  /** Beside the title, such as a status. */
  beside?: ReactNode
  /** Buttons at the right. */
  actions?: ReactNode
  /** One sentence under the title. */
  about?: ReactNode
  children: ReactNode
}

/** The frame of each page: breadcrumbs, title, actions, content. */
export function Page({ title, crumbs = [], beside, actions, about, children }: Props) {
  useEffect(() => {
    document.title = title === 'PiCloud' ? title : `${title} · PiCloud`
  }, [title])
  return (
    <div className={classes.page}>
      {crumbs.length > 0 && (
        <Breadcrumbs className={classes.crumbs} aria-label="Breadcrumbs" separatorMargin={6}>
          {crumbs.map((one) => (
            <Anchor key={one.href} component={Link} href={one.href} size="sm" c="dimmed">
              {one.title}
            </Anchor>
          ))}
        </Breadcrumbs>
      )}
      <header className={classes.head}>
        <Title order={1} className={classes.title} title={title}>
          {title}
        </Title>
        {beside}
        {actions && (
          <Group gap="xs" className={classes.actions}>
            {actions}
          </Group>
        )}
      </header>
      {about && <p className={classes.about}>{about}</p>}
      <div className={classes.body}>{children}</div>
    </div>
  )
}
